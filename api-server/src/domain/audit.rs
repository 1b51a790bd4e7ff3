//! What is written down of what happens to accounts and sessions.

use super::ids::{Caller, SessionId, UserId};

/// Makes the actions from their words, and the list that therefore lacks none.
macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident = $word:literal,)*) => {
        /// What was done, or tried.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Action {
            $($(#[$doc])* $action,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Self] = &[$(Self::$action),*];

            /// The word in the table, the same for ever.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $word,)*
                }
            }
        }
    };
}

actions! {
    /// An account was made by its own user.
    Register = "register",
    /// A session was begun with a password.
    Login = "login",
    /// A session was ended by its user.
    Logout = "logout",
    /// Every session of a user was ended by them.
    LogoutAll = "logout_all",
    /// One session of several was ended from a list.
    SessionEnd = "session_end",
    /// A used-up refresh token was presented; its session was ended.
    TokenReplay = "token_replay",
    /// A refresh token with a good signature was presented that this service
    /// did not make; its session was ended.
    TokenForgery = "token_forgery",
    /// A token was revoked through `/oauth2/revoke` (RFC 7009).
    TokenRevoke = "token_revoke",
    /// A user set another password.
    PasswordChange = "password_change",
    /// A stored hash of another kind was replaced by one of ours at login.
    PasswordUpgrade = "password_upgrade",
    /// A user changed their name or address.
    ProfileChange = "profile_change",
    /// A user took everything that is held about them.
    AccountExport = "account_export",
    /// A user deleted their account.
    AccountDelete = "account_delete",
    /// An administrator made an account.
    AdminUserCreate = "admin_user_create",
    /// An administrator changed an account: name, address, roles, password, or
    /// whether it may log in.
    AdminUserChange = "admin_user_change",
    /// An administrator deleted an account.
    AdminUserDelete = "admin_user_delete",
    /// An administrator ended every session of a user.
    AdminUserLogout = "admin_user_logout",
    /// An account was brought from another service.
    UserImport = "user_import",
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
