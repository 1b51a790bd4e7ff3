//! What ends sessions, forbids them or makes them older.

use authstack_api::{
    app::Origin,
    domain::{
        audit::{Action, Event},
        ids::Caller,
    },
};
use axum::http::{Method, StatusCode};
use proptest::{prelude::*, test_runner::TestCaseResult};

use super::{Run, count, model::EndedFromList, sure};

impl Run {
    pub(super) async fn logout(
        &mut self,
        server: usize,
        session: usize,
        behind: usize,
    ) -> TestCaseResult {
        let issued = &self.held[session].issued;
        let token = &issued[issued.len().saturating_sub(1 + behind)].token;
        let call = self.servers[server].post("/auth/logout").bearer(token);
        prop_assert_eq!(call.send().await.status, StatusCode::NO_CONTENT);
        self.model.logout(session);
        Ok(())
    }

    pub(super) async fn logout_all(&mut self, server: usize, session: usize) -> TestCaseResult {
        let from = self.now();
        let call = self.servers[server].post("/auth/logout/all");
        let answer = call.bearer(&self.access(session)).send().await;
        let done = sure(self.model.logout_all(session, self.since(from)))?;
        let expected = if done {
            StatusCode::NO_CONTENT
        } else {
            StatusCode::UNAUTHORIZED
        };
        prop_assert_eq!(answer.status, expected);
        Ok(())
    }

    pub(super) async fn end_from_list(
        &mut self,
        server: usize,
        by: usize,
        target: usize,
    ) -> TestCaseResult {
        let path = format!("/auth/sessions/{}", self.held[target].id);
        let from = self.now();
        let call = self.servers[server].call(Method::DELETE, &path);
        let answer = call.bearer(&self.access(by)).send().await;
        let now = self.since(from);
        let expected = match sure(self.model.end_from_list(by, target, now))? {
            EndedFromList::Done => StatusCode::NO_CONTENT,
            EndedFromList::NotFound => StatusCode::NOT_FOUND,
            EndedFromList::Refused => StatusCode::UNAUTHORIZED,
        };
        prop_assert_eq!(answer.status, expected);
        Ok(())
    }

    /// Sets another password as the use case does once it has hashed both.
    pub(super) async fn change_password(
        &mut self,
        server: usize,
        by: usize,
        keep: bool,
    ) -> TestCaseResult {
        let caller = Caller {
            user: self.user,
            session: self.held[by].id,
        };
        let verified = format!("hash {}", self.password).into();
        let new = format!("hash {}", self.password + 1).into();
        let event = Event::success(Action::PasswordChange).by_caller(caller);
        let from = self.now();
        let store = &self.servers[server].app.store;
        let changed = store
            .change_own_password(caller, &verified, &new, keep, event, &Origin::default())
            .await
            .unwrap();
        let done = sure(self.model.change_password(by, keep, self.since(from)))?;
        prop_assert_eq!(changed.is_ok(), done);
        self.password += u32::from(done);
        Ok(())
    }

    pub(super) async fn set_disabled(&mut self, disabled: bool) -> TestCaseResult {
        let set = "UPDATE authstack.users
                   SET disabled_at = CASE WHEN $2 THEN now() END WHERE id = $1";
        self.execute(sqlx::query(set).bind(self.user.0).bind(disabled))
            .await;
        let enabled = self.model.disabled && !disabled;
        self.model.disabled = disabled;
        if enabled && self.model.sessions.iter().any(|session| !session.ended) {
            count(&self.seen.lives_after_enabling);
        }
        Ok(())
    }

    pub(super) async fn wait(&mut self, seconds: u64) -> TestCaseResult {
        let shift = "UPDATE authstack.sessions
                     SET created_at = created_at - $2 * interval '1 second',
                         rotated_at = rotated_at - $2 * interval '1 second',
                         expires_at = expires_at - $2 * interval '1 second'
                     WHERE user_id = $1";
        let query = sqlx::query(shift).bind(self.user.0);
        self.execute(query.bind(f64::from(u32::try_from(seconds).unwrap())))
            .await;
        self.waited += seconds;
        Ok(())
    }

    async fn execute(
        &self,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) {
        query.execute(&self.servers[0].pool).await.unwrap();
    }
}
