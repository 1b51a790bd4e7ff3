//! Rotation against a model of it: whatever is done to sessions, in whatever
//! order, on whichever of three servers, every answer and every row is as the
//! model says.
//!
//! The database's clock decides; time passes by moving what the rows say into
//! the past. A token's own times then lie as much later than the rows', which
//! `Run::again` accounts for.

mod endings;
mod held;
mod model;
mod steps;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use authstack_api::{
    app::Origin,
    crypto::{
        jwt::RefreshClaims,
        refresh::{SECRET_BYTES, SessionSecret},
    },
    domain::{
        ids::{SessionId, UserId},
        ttl::Ttl,
    },
    store::sessions::NewSession,
};
use axum::http::StatusCode;
use proptest::{
    prelude::*,
    test_runner::{TestCaseResult, TestError, TestRunner},
};
use sqlx::PgPool;
use uuid::Uuid;

use self::{
    held::Held,
    model::{LIFETIME, Model, Refreshed, Span},
    steps::{Step, step},
};
use crate::support::{Answer, Server, tokens};

/// How often what was seen, lest a property holds because nothing happens.
#[derive(Default)]
struct Seen {
    rotations: AtomicUsize,
    graces: AtomicUsize,
    ends_by_replay: AtomicUsize,
    lives_after_enabling: AtomicUsize,
}

fn count(counter: &AtomicUsize) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One user's history on three servers.
struct Run {
    servers: [Server; 3],
    seen: Arc<Seen>,
    user: UserId,
    /// Stands for the hash of the password in force.
    password: u32,
    model: Model,
    held: Vec<Held>,
    started: Instant,
    waited: u64,
}

impl Run {
    async fn new(servers: [Server; 3], seen: Arc<Seen>) -> Self {
        let user = UserId(Uuid::now_v7());
        sqlx::query(
            "INSERT INTO authstack.users
               (id, username, username_key, email, email_key, password_hash)
             VALUES ($1, $2, $2, $2, $2, 'hash 0')",
        )
        .bind(user.0)
        .bind(user.to_string())
        .execute(&servers[0].pool)
        .await
        .unwrap();
        Self {
            servers,
            seen,
            user,
            password: 0,
            model: Model::default(),
            held: Vec::new(),
            started: Instant::now(),
            waited: 0,
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed() + Duration::from_secs(self.waited)
    }

    /// When something happened that began then and is over now.
    fn since(&self, from: Duration) -> Span {
        let to = self.now();
        Span { from, to }
    }

    async fn all(mut self, steps: &[Step]) -> TestCaseResult {
        for server in 0..2 {
            self.login(server).await?;
        }
        for step in steps {
            self.take(step).await?;
            self.check_rows().await?;
        }
        self.finish().await
    }

    async fn take(&mut self, step: &Step) -> TestCaseResult {
        let some = |index: &usize| index % self.held.len();
        match step {
            Step::Login { server } => self.login(*server).await,
            Step::Refresh {
                server,
                session,
                behind,
                twice,
            } => self.refresh(*server, some(session), *behind, *twice).await,
            Step::Me { server, session } => self.me(*server, some(session)).await,
            Step::Logout {
                server,
                session,
                behind,
            } => self.logout(*server, some(session), *behind).await,
            Step::LogoutAll { server, session } => self.logout_all(*server, some(session)).await,
            Step::EndFromList {
                server,
                session,
                target,
            } => {
                self.end_from_list(*server, some(session), some(target))
                    .await
            }
            Step::ChangePassword {
                server,
                session,
                keep,
            } => self.change_password(*server, some(session), *keep).await,
            Step::Disable => self.set_disabled(true).await,
            Step::Enable => self.set_disabled(false).await,
            Step::Wait { seconds } => self.wait(*seconds).await,
        }
    }

    /// Begins a session as login does once it has verified the password.
    async fn login(&mut self, server: usize) -> TestCaseResult {
        let mut random = [0; SECRET_BYTES];
        rand::fill(&mut random);
        let secret = SessionSecret::new(random);
        let id = SessionId(Uuid::now_v7());
        let new = NewSession {
            id,
            user: self.user,
            verified_hash: &format!("hash {}", self.password).into(),
            secret: &secret,
            ttl: Ttl::from_secs(LIFETIME.as_secs()),
        };
        let from = self.now();
        let store = &self.servers[server].app.store;
        let grant = store.begin_session(&new, &Origin::default()).await.unwrap();
        let begun = self.model.login(self.since(from));
        prop_assert_eq!(grant.is_some(), begun);
        if let Some(grant) = grant {
            let claims = RefreshClaims {
                sid: id.0,
                ctr: 0,
                jti: secret.token_id(0),
                iat: grant.rotated_at.unix_timestamp(),
                exp: grant.expires_at.unix_timestamp(),
            };
            let issued = vec![
                self.issued(
                    tokens()
                        .sign_refresh(&claims, self.servers[0].app.now())
                        .unwrap(),
                ),
            ];
            self.held.push(Held { id, secret, issued });
        }
        Ok(())
    }

    async fn refresh(
        &mut self,
        server: usize,
        session: usize,
        behind: usize,
        twice: bool,
    ) -> TestCaseResult {
        let issued = &self.held[session].issued;
        let presented = issued.len().saturating_sub(1 + behind);
        let token = issued[presented].token.clone();
        let other = &self.servers[(server + 1) % 3];
        let from = self.now();
        let first = self.servers[server].refresh(&token);
        let answers = if twice {
            let (first, second) = tokio::join!(first, other.refresh(&token));
            vec![first, second]
        } else {
            vec![first.await]
        };
        let now = self.since(from);
        let presented = i64::try_from(presented).unwrap();
        let known = self.model.clone();
        for answer in &answers {
            // Of two at once it does not matter which was first: the second
            // gets the very token that the first has got.
            let expected = sure(self.model.refresh(session, presented, now))?;
            self.check_refreshed(session, answer, expected)?;
        }
        if self.model.sessions[session].ended && !known.sessions[session].ended {
            count(&self.seen.ends_by_replay);
        }
        Ok(())
    }

    fn check_refreshed(
        &mut self,
        session: usize,
        answer: &Answer,
        expected: Refreshed,
    ) -> TestCaseResult {
        let counter = match expected {
            Refreshed::Refused => {
                prop_assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
                return Ok(());
            }
            Refreshed::New(counter) | Refreshed::Again(counter) => counter,
        };
        prop_assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        let token = answer.pair().refresh;
        let issued = self.issued(token);
        if let Refreshed::New(_) = expected {
            count(&self.seen.rotations);
            let held = &mut self.held[session];
            let first = &held.issued[0];
            prop_assert_eq!(issued.claims.ctr, counter);
            prop_assert_eq!(issued.claims.sid, held.id.0);
            prop_assert_eq!(&issued.claims.jti, &held.secret.token_id(counter));
            let ends = issued.claims.exp + i64::try_from(issued.waited).unwrap();
            let at_login = first.claims.exp + i64::try_from(first.waited).unwrap();
            prop_assert_eq!(ends, at_login, "rotation does not prolong a session");
            held.issued.push(issued);
        } else {
            count(&self.seen.graces);
            let counter = usize::try_from(counter).unwrap();
            let before = &self.held[session].issued[counter];
            prop_assert_eq!(issued.token, self.again(before), "to the letter");
        }
        Ok(())
    }

    async fn me(&mut self, server: usize, session: usize) -> TestCaseResult {
        let from = self.now();
        let answer = self.servers[server].me(&self.access(session)).await;
        let lives = sure(self.model.lives(session, self.since(from)))?;
        let expected = if lives {
            StatusCode::OK
        } else {
            StatusCode::UNAUTHORIZED
        };
        prop_assert_eq!(answer.status, expected);
        Ok(())
    }

    /// That the rows are as the model has them: one each, ended or not, with
    /// the counter that it should have.
    async fn check_rows(&self) -> TestCaseResult {
        let select = "SELECT id, counter, revoked_at IS NOT NULL
                      FROM authstack.sessions WHERE user_id = $1";
        let rows: Vec<(Uuid, i64, bool)> = sqlx::query_as(select)
            .bind(self.user.0)
            .fetch_all(&self.servers[0].pool)
            .await
            .unwrap();
        prop_assert_eq!(rows.len(), self.held.len());
        for (held, session) in self.held.iter().zip(&self.model.sessions) {
            let row = rows.iter().find(|row| row.0 == held.id.0);
            prop_assert_eq!(row, Some(&(held.id.0, session.counter, session.ended)));
        }
        Ok(())
    }

    /// That nothing brings back what has ended: none of its tokens, newest or
    /// oldest first, also once the user is enabled.
    async fn finish(mut self) -> TestCaseResult {
        self.set_disabled(false).await?;
        for session in 0..self.held.len() {
            if !self.model.sessions[session].ended {
                continue;
            }
            for behind in (0..self.held[session].issued.len()).rev() {
                self.refresh(behind % 3, session, behind, false).await?;
            }
            self.refresh(0, session, 0, true).await?;
            self.me(1, session).await?;
            prop_assert!(self.model.sessions[session].ended);
        }
        self.check_rows().await
    }
}

/// What the model knows; else the case says nothing, and is left out.
fn sure<T>(known: Option<T>) -> Result<T, TestCaseError> {
    known.ok_or_else(|| TestCaseError::reject("too close to a limit to tell"))
}

#[sqlx::test(migrations = false)]
async fn sessions_do_what_the_model_says(pool: PgPool) {
    let servers = [
        Server::new(pool.clone()).await,
        Server::new(pool.clone()).await,
        Server::new(pool).await,
    ];
    let seen = Arc::new(Seen::default());
    let seen_by_runs = Arc::clone(&seen);
    // Off the runtime's thread, which goes on meanwhile.
    let run = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Handle::current();
        let config = ProptestConfig {
            cases: 32,
            max_shrink_iters: 300,
            failure_persistence: None,
            ..ProptestConfig::default()
        };
        let steps = prop::collection::vec(step(), 20..40);
        TestRunner::new(config).run(&steps, |steps| {
            let (servers, seen) = (servers.clone(), Arc::clone(&seen_by_runs));
            runtime.block_on(async move { Run::new(servers, seen).await.all(&steps).await })
        })
    });
    match run.await.unwrap() {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => panic!("{reason}\n{steps:#?}"),
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    for (what, counter) in [
        ("rotations", &seen.rotations),
        ("graces", &seen.graces),
        ("ends by replay", &seen.ends_by_replay),
        ("lives after enabling", &seen.lives_after_enabling),
    ] {
        assert!(counter.load(Ordering::Relaxed) > 0, "no {what}");
    }
}
