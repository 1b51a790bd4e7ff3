//! How often who may do what, counted across all replicas.
//!
//! A refusal must not tell whether an account exists. So what shows, as 429,
//! goes by the identifier as it was typed, whoever it belongs to or nobody. An
//! account's budget is one, whichever of its names is typed; when only that is
//! used up, the attempt fails as one with a wrong password does, with the same
//! answer after the same time. A 429 would tell that a name and an address are
//! of one account, which exists.
//!
//! A limiter that cannot ask the database refuses: the error is the database's.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use tokio::sync::OnceCell;

use super::{App, AppError, Origin};
use crate::{
    crypto::limit_key::LimitSecret,
    domain::{
        ids::{SessionId, UserId},
        limit::Limit,
        login::LoginIdentifier,
    },
    store::{limits::Bucket, users::Credentials},
};

mod gate;

use gate::Gate;

/// How often who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Passwords checked for one account from one address.
    pub login_per_account_and_address: Limit,
    /// Passwords checked for one account.
    pub login_per_account: Limit,
    /// Passwords checked from one address.
    pub login_per_address: Limit,
    /// Accounts made or renamed from one address.
    pub registration_per_address: Limit,
    /// Refreshes of one session.
    pub refresh_per_session: Limit,
    /// Exports of one account.
    pub export_per_account: Limit,
}

/// Counts, and remembers what it need not ask again.
pub struct Limiter {
    limits: Option<Limits>,
    secret: OnceCell<LimitSecret>,
    gate: Gate,
}

impl Limiter {
    /// A limiter for these limits, or one that refuses nothing.
    #[must_use]
    pub fn new(limits: Option<Limits>) -> Self {
        Self {
            limits,
            secret: OnceCell::new(),
            gate: Gate::new(),
        }
    }
}

/// What an attempt to log in is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// The password decides.
    Counts,
    /// The account's budget is used up: it fails, whatever the password.
    Void,
}

/// A token that is wanted: from which limit, and its bucket.
struct Wanted {
    limit: &'static str,
    bucket: Bucket,
}

/// Whom a password is checked for, as the name of a bucket.
#[derive(Clone, Copy)]
enum Who<'a> {
    Email(&'a str),
    Username(&'a str),
    Account(UserId),
    /// In the place of an account, where there is none: the same work, so the
    /// same time.
    NoAccount(&'a str),
    /// What cannot be anybody's name.
    Nobody,
}

impl<'a> Who<'a> {
    fn typed(identifier: &'a LoginIdentifier) -> Self {
        match (&identifier.email_key, &identifier.username_key) {
            (Some(email), _) => Self::Email(email),
            (None, Some(username)) => Self::Username(username),
            (None, None) => Self::Nobody,
        }
    }

    fn meant(account: Option<UserId>, identifier: &'a LoginIdentifier) -> Self {
        let keys = [&identifier.email_key, &identifier.username_key];
        let name = keys.into_iter().flatten().next();
        account.map_or(
            Self::NoAccount(name.map_or("", String::as_str)),
            Self::Account,
        )
    }

    fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::Email(key) => [b"email", key.as_bytes()],
            Self::Username(key) => [b"username", key.as_bytes()],
            Self::Account(id) => [b"account", id.0.as_bytes()],
            Self::NoAccount(name) => [b"no account", name.as_bytes()],
            Self::Nobody => [b"nobody", b""],
        }
    }
}

/// Makes the names of buckets.
struct Buckets<'a> {
    limits: &'a Limits,
    secret: &'a LimitSecret,
    network: Vec<u8>,
}

impl Buckets<'_> {
    fn wanted(&self, name: &'static str, limit: Limit, subject: &[&[u8]]) -> Wanted {
        Wanted {
            limit: name,
            bucket: Bucket {
                key: self.secret.bucket(name, subject),
                limit,
                quiet: false,
            },
        }
    }

    /// The two that count passwords for somebody.
    fn passwords_for(&self, who: Who<'_>) -> [Wanted; 2] {
        let [kind, name] = who.parts();
        let limits = self.limits;
        [
            self.wanted(
                "login_per_account_and_address",
                limits.login_per_account_and_address,
                &[kind, name, &self.network],
            ),
            self.wanted("login_per_account", limits.login_per_account, &[kind, name]),
        ]
    }

    fn passwords_from_here(&self) -> Wanted {
        let limit = self.limits.login_per_address;
        self.wanted("login_per_address", limit, &[&self.network])
    }

    /// Those whose refusal shows at login.
    fn of_login(&self, identifier: &LoginIdentifier) -> Vec<Wanted> {
        let typed = self.passwords_for(Who::typed(identifier));
        let mut wanted = Vec::from(typed);
        wanted.push(self.passwords_from_here());
        wanted
    }
}

impl App {
    /// Refuses a login that is known to be over a limit, before anything is
    /// looked up.
    pub(super) async fn gate_login(
        &self,
        identifier: &LoginIdentifier,
        origin: &Origin,
    ) -> Result<(), AppError> {
        match self.buckets(origin).await? {
            Some(buckets) => self.check_gate(&buckets.of_login(identifier)),
            None => Ok(()),
        }
    }

    /// Counts a login, before the password is hashed.
    pub(super) async fn limit_login(
        &self,
        identifier: &LoginIdentifier,
        account: Option<UserId>,
        origin: &Origin,
    ) -> Result<Attempt, AppError> {
        let Some(buckets) = self.buckets(origin).await? else {
            return Ok(Attempt::Counts);
        };
        let mut wanted = buckets.of_login(identifier);
        for mut wish in buckets.passwords_for(Who::meant(account, identifier)) {
            wish.bucket.quiet = true;
            wanted.push(wish);
        }
        self.take(wanted).await
    }

    /// Counts a password that somebody who is logged in gives, before it is
    /// hashed: against their account, and against the names that they might
    /// log in with. They know that they exist, so that all of it may show.
    pub(super) async fn limit_confirmation(
        &self,
        user: &Credentials,
        origin: &Origin,
    ) -> Result<(), AppError> {
        let Some(buckets) = self.buckets(origin).await? else {
            return Ok(());
        };
        let names = [
            Who::Account(user.id),
            Who::Username(&user.username_key),
            Who::Email(&user.email_key),
        ];
        let wanted = names.into_iter().flat_map(|who| buckets.passwords_for(who));
        let wanted = wanted.chain([buckets.passwords_from_here()]).collect();
        self.take(wanted).await.map(|_| ())
    }

    /// Counts an attempt to take a name, before the answer tells whether it is
    /// taken: a registration, or a change of name or address.
    pub(super) async fn limit_registration(&self, origin: &Origin) -> Result<(), AppError> {
        let Some(buckets) = self.buckets(origin).await? else {
            return Ok(());
        };
        let limit = buckets.limits.registration_per_address;
        let wish = buckets.wanted("registration_per_address", limit, &[&buckets.network]);
        self.take(vec![wish]).await.map(|_| ())
    }

    /// Counts a refresh of a session, whose token has been verified.
    pub(super) async fn limit_refresh(&self, session: SessionId) -> Result<(), AppError> {
        let Some(buckets) = self.buckets(&Origin::default()).await? else {
            return Ok(());
        };
        let limit = buckets.limits.refresh_per_session;
        let wish = buckets.wanted("refresh_per_session", limit, &[session.0.as_bytes()]);
        self.take(vec![wish]).await.map(|_| ())
    }

    /// Counts an export of an account: each is written down, and in the next.
    pub(super) async fn limit_export(&self, user: UserId) -> Result<(), AppError> {
        let Some(buckets) = self.buckets(&Origin::default()).await? else {
            return Ok(());
        };
        let limit = buckets.limits.export_per_account;
        let wish = buckets.wanted("export_per_account", limit, &[user.0.as_bytes()]);
        self.take(vec![wish]).await.map(|_| ())
    }

    /// What names buckets, unless limits are off.
    async fn buckets(&self, origin: &Origin) -> Result<Option<Buckets<'_>>, AppError> {
        let Some(limits) = &self.limiter.limits else {
            return Ok(None);
        };
        let ask = || self.store.limit_secret();
        let secret = self.limiter.secret.get_or_try_init(ask).await?;
        Ok(Some(Buckets {
            limits,
            secret,
            network: network(origin.address),
        }))
    }

    fn check_gate(&self, wanted: &[Wanted]) -> Result<(), AppError> {
        let now = Instant::now();
        let closed = wanted.iter().filter(|wish| !wish.bucket.quiet);
        let closed = closed.filter_map(|wish| {
            let wait = self.limiter.gate.closed(&wish.bucket.key, now)?;
            Some((wish.limit, wait))
        });
        let Some((limit, wait)) = closed.max_by_key(|(_, wait)| *wait) else {
            return Ok(());
        };
        self.metrics.limited(limit, "gate");
        Err(AppError::RateLimited { limit, wait })
    }

    /// Takes all of these tokens, or none and says how long until there are.
    async fn take(&self, wanted: Vec<Wanted>) -> Result<Attempt, AppError> {
        self.check_gate(&wanted)?;
        let buckets: Vec<_> = wanted.iter().map(|wish| wish.bucket).collect();
        let asked = Instant::now();
        let empty = self.store.take_tokens(&buckets).await?;
        self.metrics.limiter_asked(asked.elapsed());
        let mut refused: Option<(&'static str, Duration)> = None;
        for empty in &empty {
            let wish = &wanted[empty.place];
            if wish.bucket.quiet {
                continue;
            }
            self.limiter.gate.close(wish.bucket.key, asked, empty.wait);
            if refused.is_none_or(|(_, longest)| empty.wait > longest) {
                refused = Some((wish.limit, empty.wait));
            }
        }
        match (refused, empty.first()) {
            (Some((limit, wait)), _) => {
                self.metrics.limited(limit, "database");
                Err(AppError::RateLimited { limit, wait })
            }
            (None, Some(quiet)) => {
                self.metrics.limited(wanted[quiet.place].limit, "quietly");
                Ok(Attempt::Void)
            }
            (None, None) => Ok(Attempt::Counts),
        }
    }
}

/// What counts as one address: for IPv6 the /64 that one customer usually has
/// (RFC 6177), lest everybody have 2^64 budgets. Requests without an address
/// share one.
fn network(address: Option<IpAddr>) -> Vec<u8> {
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => address.octets().to_vec(),
        Some(IpAddr::V6(address)) => address.octets()[..8].to_vec(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_of_version_4_or_64_bits_of_version_6() {
        let of = |text: &str| network(Some(text.parse().unwrap()));
        assert_eq!(
            of("2001:db8:1:2::1"),
            of("2001:db8:1:2:ffff:ffff:ffff:ffff")
        );
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_ne!(of("192.0.2.1"), network(None));
    }

    #[test]
    fn nobody_has_an_empty_name() {
        let typed = LoginIdentifier::parse("a\0b");
        assert!(matches!(Who::typed(&typed), Who::Nobody));
        let typed = LoginIdentifier::parse("Alice@Example.com");
        assert!(matches!(
            Who::typed(&typed),
            Who::Email("alice@example.com")
        ));
        let typed = LoginIdentifier::parse("Alice");
        assert!(matches!(Who::typed(&typed), Who::Username("alice")));
    }
}
