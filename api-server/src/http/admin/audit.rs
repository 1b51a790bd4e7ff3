//! `GET /admin/audit`

use std::net::IpAddr;

use axum::{Json, extract::State, http::Uri};
use serde::Serialize;
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    app::App,
    domain::ids::UserId,
    http::{
        ApiError,
        identity::Admin,
        page::{Page, PageParameters, Paging},
        query::{Parameters, action, moment, outcome, uuid},
    },
    store::audit_log::{AuditEntry, AuditFilter},
};

/// An event.
#[derive(Serialize, ToSchema)]
pub(super) struct AuditResponse {
    /// The event's identifier.
    id: Uuid,
    /// When it happened, by the database's clock.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// What was done or tried.
    #[schema(example = "admin_user_change")]
    action: String,
    /// `success` or `failure`.
    #[schema(example = "success")]
    result: String,
    /// Who did it; null where nobody was logged in.
    actor_id: Option<Uuid>,
    /// Whom it was done to; null where that is unknown.
    user_id: Option<Uuid>,
    /// The session that it is about.
    session_id: Option<Uuid>,
    /// Where the request came from.
    #[schema(value_type = Option<String>, example = "192.0.2.1")]
    client_address: Option<IpAddr>,
    /// What the client said it was.
    #[schema(example = "curl/8.14.1")]
    user_agent: Option<String>,
    /// The request, as in its answer's `x-request-id` and the server's log.
    #[schema(example = "0198c5a4-7d3e-7c11-9d33-7b6a5d1f2a10")]
    request_id: Option<String>,
    /// What else there is to say: names of fields and reasons, no values.
    #[schema(value_type = Option<Object>, example = json!({"fields": ["email"], "effects": []}))]
    detail: Option<serde_json::Value>,
}

impl From<AuditEntry> for AuditResponse {
    fn from(entry: AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: entry.at,
            action: entry.action,
            result: entry.result,
            actor_id: entry.actor.map(|user| user.0),
            user_id: entry.user.map(|user| user.0),
            session_id: entry.session.map(|session| session.0),
            client_address: entry.client_address,
            user_agent: entry.user_agent,
            request_id: entry.request_id,
            detail: entry.detail,
        }
    }
}

/// Which events are asked for, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes what `filter` reads")]
struct AuditParameters {
    /// Whom it was done to.
    user: Option<Uuid>,
    /// Who did it.
    actor: Option<Uuid>,
    /// What was done or tried.
    #[param(
        pattern = "^(register|login|logout|logout_all|session_end|token_replay|token_forgery|token_revoke|password_change|password_upgrade|profile_change|account_export|account_delete|admin_user_create|admin_user_change|admin_user_delete|admin_user_logout|user_import)$",
        example = "login"
    )]
    action: Option<String>,
    /// How it ended: `success` or `failure`.
    #[param(pattern = "^(success|failure)$", example = "failure")]
    result: Option<String>,
    /// From this moment on (RFC 3339).
    #[param(value_type = Option<String>, format = "date-time", example = "2026-11-22T16:00:00Z")]
    since: Option<OffsetDateTime>,
    /// Before this moment (RFC 3339).
    #[param(value_type = Option<String>, format = "date-time", example = "2030-11-22T17:00:00Z")]
    until: Option<OffsetDateTime>,
}

fn filter(uri: &Uri) -> Result<AuditFilter, ApiError> {
    let mut parameters = Parameters::of(uri);
    let filter = AuditFilter {
        user: parameters.take("user", uuid).map(UserId),
        actor: parameters.take("actor", uuid).map(UserId),
        action: parameters.take("action", action),
        outcome: parameters.take("result", outcome),
        since: parameters.take("since", moment),
        until: parameters.take("until", moment),
    };
    parameters.check(filter)
}

/// Lists what happened to accounts and sessions, the newest first. Events that
/// are older than the operator keeps them are gone.
#[utoipa::path(get, path = "/admin/audit", tag = "administration", operation_id = "list_audit_events",
    security(("bearer" = []), ("cookie" = [])),
    params(AuditParameters, PageParameters),
    responses((status = 200, description = "A page of events", body = Page<AuditResponse>)),
    extensions(("x-problems" = json!(["forbidden", "validation"]))),
)]
pub(super) async fn list(
    State(app): State<App>,
    Admin(_): Admin,
    Paging(page): Paging,
    uri: Uri,
) -> Result<Json<Page<AuditResponse>>, ApiError> {
    let events = app.audit_log(&filter(&uri)?, page).await?;
    Ok(Json(Page::of(events, AuditResponse::from)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::Action;

    #[test]
    fn the_document_names_every_action() {
        let described = AuditParameters::into_params(|| None);
        let described = serde_json::to_value(described).unwrap();
        let parameters = described.as_array().unwrap().iter();
        let mut actions = parameters.filter(|parameter| parameter["name"] == "action");
        let words: Vec<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
        let pattern = format!("^({})$", words.join("|"));
        assert_eq!(actions.next().unwrap()["schema"]["pattern"], pattern);
    }
}
