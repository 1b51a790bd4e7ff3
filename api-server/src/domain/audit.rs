//! What is written down of what happens to accounts and sessions.

use super::ids::{Caller, SessionId, UserId};

/// What was done, or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// An account was made by its own user.
    Register,
    /// A session was begun with a password.
    Login,
    /// A session was ended by its user.
    Logout,
    /// Every session of a user was ended by them.
    LogoutAll,
    /// One session of several was ended from a list.
    SessionEnd,
    /// A used-up refresh token was presented; its session was ended.
    TokenReplay,
    /// A refresh token with a good signature was presented that this service
    /// did not make; its session was ended.
    TokenForgery,
    /// A token was revoked through `/oauth2/revoke` (RFC 7009).
    TokenRevoke,
    /// A user set another password.
    PasswordChange,
    /// A stored hash of another kind was replaced by one of ours at login.
    PasswordUpgrade,
    /// A user changed their name or address.
    ProfileChange,
    /// A user took everything that is held about them.
    AccountExport,
    /// A user deleted their account.
    AccountDelete,
    /// An administrator made an account.
    AdminUserCreate,
    /// An administrator changed an account: name, address, roles, password, or
    /// whether it may log in.
    AdminUserChange,
    /// An administrator deleted an account.
    AdminUserDelete,
    /// An administrator ended every session of a user.
    AdminUserLogout,
    /// An account was brought from another service.
    UserImport,
}

impl Action {
    /// The word in the table, the same for ever.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Login => "login",
            Self::Logout => "logout",
            Self::LogoutAll => "logout_all",
            Self::SessionEnd => "session_end",
            Self::TokenReplay => "token_replay",
            Self::TokenForgery => "token_forgery",
            Self::TokenRevoke => "token_revoke",
            Self::PasswordChange => "password_change",
            Self::PasswordUpgrade => "password_upgrade",
            Self::ProfileChange => "profile_change",
            Self::AccountExport => "account_export",
            Self::AccountDelete => "account_delete",
            Self::AdminUserCreate => "admin_user_create",
            Self::AdminUserChange => "admin_user_change",
            Self::AdminUserDelete => "admin_user_delete",
            Self::AdminUserLogout => "admin_user_logout",
            Self::UserImport => "user_import",
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused.
    Failure,
}

impl Outcome {
    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// One event, but for when (the database's clock) and from where (the request).
#[derive(Clone, Debug)]
pub struct Event {
    /// What was done.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Who did it, where somebody was logged in.
    pub actor: Option<UserId>,
    /// Whom it was done to, where that is known.
    pub user: Option<UserId>,
    /// The session that it is about.
    pub session: Option<SessionId>,
    /// What else there is to say: names of fields, reasons; no values.
    pub detail: Option<serde_json::Value>,
}

impl Event {
    /// Something that was done, with nothing more to say yet.
    #[must_use]
    pub fn success(action: Action) -> Self {
        Self {
            action,
            outcome: Outcome::Success,
            actor: None,
            user: None,
            session: None,
            detail: None,
        }
    }

    /// Something that was refused, and why: a word, the same for ever.
    #[must_use]
    pub fn failure(action: Action, reason: &'static str) -> Self {
        Self {
            outcome: Outcome::Failure,
            detail: Some(serde_json::json!({ "reason": reason })),
            ..Self::success(action)
        }
    }

    /// Done by this user to themselves.
    #[must_use]
    pub fn by_and_to(self, user: UserId) -> Self {
        Self {
            actor: Some(user),
            user: Some(user),
            ..self
        }
    }

    /// Done by whoever is logged in to their own account.
    #[must_use]
    pub fn by_caller(self, caller: Caller) -> Self {
        self.by_and_to(caller.user).about(caller.session)
    }

    /// Done by this user.
    #[must_use]
    pub fn by(self, actor: UserId) -> Self {
        Self {
            actor: Some(actor),
            ..self
        }
    }

    /// Done to this user.
    #[must_use]
    pub fn to(self, user: UserId) -> Self {
        Self {
            user: Some(user),
            ..self
        }
    }

    /// About this session.
    #[must_use]
    pub fn about(self, session: SessionId) -> Self {
        Self {
            session: Some(session),
            ..self
        }
    }

    /// With more to say: names of fields and reasons, no values.
    #[must_use]
    pub fn with(self, detail: serde_json::Value) -> Self {
        Self {
            detail: Some(detail),
            ..self
        }
    }
}
