//! `GET /auth/user/me/export`

use std::net::IpAddr;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use serde::Serialize;
use serde_json::Value;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{ApiError, client::Client, identity::Identity, user::UserResponse};
use crate::{
    app::{App, AppError, export::Piece},
    domain::ids::UserId,
    store::{
        audit_log::AuditEntry,
        export::{ImportedFrom, StoredSession},
    },
};

/// A session that is stored, over or not.
#[derive(Serialize, ToSchema)]
struct ExportedSession {
    /// The session's identifier, the `sid` of its tokens.
    id: Uuid,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    /// When it was last refreshed, or else began.
    #[serde(with = "time::serde::rfc3339")]
    last_used: OffsetDateTime,
    /// When it ends, or would have ended, by itself.
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    /// When it was ended before that.
    #[serde(with = "time::serde::rfc3339::option")]
    ended_at: Option<OffsetDateTime>,
    /// Why it was.
    #[schema(example = "logout")]
    end_reason: Option<String>,
    /// Where its login came from.
    #[schema(value_type = Option<String>, example = "192.0.2.1")]
    client_address: Option<IpAddr>,
    /// What the client at its login said it was.
    user_agent: Option<String>,
}

/// That the account was brought from another service.
#[derive(Serialize, ToSchema)]
struct ExportedSource {
    /// What the service was called.
    #[schema(example = "shop")]
    source: String,
    /// The account's identifier there.
    #[schema(example = "4711")]
    id: String,
    /// When it was brought here.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

/// Something that happened to the account, or that its user did.
#[derive(Serialize, ToSchema)]
struct ExportedEvent {
    /// The event's identifier.
    id: Uuid,
    /// When it happened.
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// What was done, or tried.
    #[schema(example = "login")]
    action: String,
    /// `success` or `failure`.
    #[schema(example = "success")]
    result: String,
    /// Who did it: `self`, `other`, or null where nobody was logged in.
    #[schema(example = "self")]
    by: Option<&'static str>,
    /// Whose account it was about: `self`, `other`, or null where none is known.
    #[schema(example = "self")]
    about: Option<&'static str>,
    /// The session that it was about.
    session_id: Option<Uuid>,
    /// Where it came from; not shown where somebody else did it.
    #[schema(value_type = Option<String>, example = "192.0.2.1")]
    client_address: Option<IpAddr>,
    /// What the client said it was; not shown where somebody else did it.
    user_agent: Option<String>,
    /// The request; not shown where somebody else did it.
    request_id: Option<String>,
    /// What else there is to say: names of fields, reasons, counts.
    #[schema(value_type = Option<Object>)]
    detail: Option<Value>,
}

/// Everything that is held about a user, but for the hash of the password and
/// what tokens are made from.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what is written piece by piece")]
pub(super) struct AccountExport {
    /// The time as of which this is.
    #[schema(value_type = String, format = "date-time")]
    exported_at: OffsetDateTime,
    /// The account.
    account: UserResponse,
    /// The services that it was brought from.
    imported_from: Vec<ExportedSource>,
    /// Its sessions, the oldest first; those that are over are deleted after a
    /// while.
    sessions: Vec<ExportedSession>,
    /// What happened, the oldest first.
    audit: Vec<ExportedEvent>,
}

impl From<StoredSession> for ExportedSession {
    fn from(session: StoredSession) -> Self {
        Self {
            id: session.id.0,
            created_at: session.created_at,
            last_used: session.last_used,
            expires_at: session.expires_at,
            ended_at: session.ended_at,
            end_reason: session.end_reason,
            client_address: session.client_address,
            user_agent: session.user_agent,
        }
    }
}

impl From<ImportedFrom> for ExportedSource {
    fn from(from: ImportedFrom) -> Self {
        Self {
            source: from.source,
            id: from.id,
            at: from.at,
        }
    }
}

impl ExportedEvent {
    fn of(event: AuditEntry, user: UserId) -> Self {
        let whose = |id: UserId| if id == user { "self" } else { "other" };
        Self {
            id: event.id,
            at: event.at,
            action: event.action,
            result: event.result,
            by: event.actor.map(whose),
            about: event.user.map(whose),
            session_id: event.session.map(|session| session.0),
            client_address: event.client_address,
            user_agent: event.user_agent,
            request_id: event.request_id,
            detail: event.detail,
        }
    }
}

/// Gives everything that is held about whoever asks, as one document to keep.
/// It is written while it is read, so its length is not known beforehand; if
/// the database goes away meanwhile, the connection breaks off.
#[utoipa::path(get, path = "/auth/user/me/export", tag = "account",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, description = "Everything that is held about the user", body = AccountExport,
            headers(("content-disposition" = String, description = "A name for the file"))),
    ),
    extensions(("x-problems" = json!(["rate-limited"]))),
)]
pub(super) async fn export(
    State(app): State<App>,
    identity: Identity,
    Client(origin): Client,
) -> Result<Response, ApiError> {
    let caller = identity.caller();
    let start = app.begin_export(caller, &origin).await?;
    let writer = Writer {
        app,
        user: caller.user,
        at: start.at,
    };
    let sources = start.imported_from.into_iter();
    let first = Step::Account(
        Box::new(identity.user.into()),
        sources.map(ExportedSource::from).collect(),
    );
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (
            header::CONTENT_DISPOSITION,
            r#"attachment; filename="authstack-account.json""#,
        ),
    ];
    let headers = headers.map(|(name, value)| (name, HeaderValue::from_static(value)));
    Ok((headers, writer.body(first)).into_response())
}

/// Writes the document, a piece at a time.
#[derive(Clone)]
struct Writer {
    app: App,
    user: UserId,
    at: OffsetDateTime,
}

/// What is to be written next.
enum Step {
    Account(Box<UserResponse>, Vec<ExportedSource>),
    Sessions(Option<Uuid>),
    Events(Option<Uuid>),
    Done,
}

impl Writer {
    fn body(self, first: Step) -> Body {
        let pieces = stream::try_unfold((self, first), |(writer, step)| async move {
            // In a task of its own, which ends whether or not the client goes
            // on reading: a slow one must not sit on a database connection.
            let piece = tokio::spawn(async move {
                let piece = writer.write(step).await;
                piece.map(|piece| piece.map(|(text, step)| (text, (writer, step))))
            });
            piece.await.map_err(std::io::Error::other)?
        });
        Body::from_stream(pieces.inspect(|piece| {
            if let Err(error) = piece {
                tracing::warn!(%error, "an export broke off");
            }
        }))
    }

    async fn write(&self, step: Step) -> std::io::Result<Option<(Bytes, Step)>> {
        let (text, next) = match step {
            Step::Account(account, sources) => {
                (self.head(&account, &sources)?, Step::Sessions(None))
            }
            Step::Sessions(after) => {
                let piece = self.app.exported_sessions(self.user, after).await;
                let piece = piece.map_err(broken)?;
                let next = piece.next;
                let text = list(piece, after, ExportedSession::from)?;
                match next {
                    Some(next) => (text, Step::Sessions(Some(next))),
                    None => (text + r#"],"audit":["#, Step::Events(None)),
                }
            }
            Step::Events(after) => {
                let piece = self.app.exported_events(self.user, after, self.at).await;
                let piece = piece.map_err(broken)?;
                let next = piece.next;
                let show = |event| ExportedEvent::of(event, self.user);
                let text = list(piece, after, show)?;
                match next {
                    Some(next) => (text, Step::Events(Some(next))),
                    None => (text + "]}\n", Step::Done),
                }
            }
            Step::Done => return Ok(None),
        };
        Ok(Some((Bytes::from(text), next)))
    }

    fn head(&self, account: &UserResponse, sources: &[ExportedSource]) -> std::io::Result<String> {
        #[derive(Serialize)]
        struct Head<'a> {
            #[serde(with = "time::serde::rfc3339")]
            exported_at: OffsetDateTime,
            account: &'a UserResponse,
            imported_from: &'a [ExportedSource],
        }
        let head = Head {
            exported_at: self.at,
            account,
            imported_from: sources,
        };
        let mut text = serde_json::to_string(&head)?;
        // The object goes on.
        text.pop();
        Ok(text + r#","sessions":["#)
    }
}

/// The items of a list, or more of them.
fn list<T, U: Serialize>(
    piece: Piece<T>,
    after: Option<Uuid>,
    show: impl Fn(T) -> U,
) -> std::io::Result<String> {
    let mut text = String::new();
    for row in piece.rows {
        if after.is_some() || !text.is_empty() {
            text.push(',');
        }
        text += &serde_json::to_string(&show(row))?;
    }
    Ok(text)
}

fn broken(error: AppError) -> std::io::Error {
    std::io::Error::other(error)
}
