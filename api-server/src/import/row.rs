//! One row, judged on its own: what has to be so for it to become an account.

use secrecy::{ExposeSecret, SecretString};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    crypto::phc::PasswordHash,
    domain::{email::Email, role::Roles, username::Username},
    store::import::{OldUser, RefusedRow, StagedUser},
};

/// The most bytes of an identifier of the old service.
const MAX_ID_BYTES: usize = 200;
/// The most characters of a refused value that are shown.
const MAX_SHOWN_CHARS: usize = 200;

/// Judges a row. Everything that is wrong is said at once.
pub fn judge(old: &OldUser) -> Result<StagedUser, RefusedRow> {
    let disabled = disabled(old.is_active.as_deref(), old.disabled.as_deref());
    let judged = (
        identifier(old.id.as_deref()),
        given(old.username.as_deref(), "the user name", |typed| {
            Username::imported(typed).map_err(|e| e.to_string())
        }),
        given(old.email.as_deref(), "the e-mail address", |typed| {
            Email::parse(typed).map_err(|e| e.to_string())
        }),
        hash(old.hashed_password.as_ref()),
        roles(old.roles.as_deref()),
        created_at(old.created_at.as_deref()),
        disabled,
    );
    match judged {
        (
            Ok(old_id),
            Ok(username),
            Ok(email),
            Ok(password_hash),
            Ok(roles),
            Ok(created_at),
            Ok(disabled),
        ) => Ok(StagedUser {
            old_id,
            username,
            email,
            password_hash,
            roles,
            disabled,
            created_at,
        }),
        (id, username, email, hash, roles, created_at, disabled) => {
            let username_key = username.as_ref().ok().map(|name| name.key().into());
            let email_key = email.as_ref().ok().map(|email| email.key().into());
            let reasons = [
                id.err(),
                username.err(),
                email.err(),
                hash.err(),
                roles.err(),
                created_at.err(),
                disabled.err(),
            ];
            Err(RefusedRow {
                old_id: old.id.as_deref().map(shown),
                username: old.username.as_deref().map(shown),
                email: old.email.as_deref().map(shown),
                username_key,
                email_key,
                reasons: reasons.into_iter().flatten().collect(),
            })
        }
    }
}

/// A row that could not even be read as one.
#[must_use]
pub fn unreadable(reason: String) -> RefusedRow {
    RefusedRow {
        old_id: None,
        username: None,
        email: None,
        username_key: None,
        email_key: None,
        reasons: [reason].into(),
    }
}

/// A value as the report has it: not endless, and such as PostgreSQL's text
/// can hold.
fn shown(value: &str) -> String {
    let cut = value.chars().take(MAX_SHOWN_CHARS);
    cut.map(|c| if c == '\0' { '\u{fffd}' } else { c })
        .collect()
}

fn identifier(id: Option<&str>) -> Result<String, String> {
    match id {
        None | Some("") => Err("the id is missing".to_owned()),
        Some(id) if id.len() > MAX_ID_BYTES || id.contains('\0') => {
            Err(format!("the id must have at most {MAX_ID_BYTES} bytes"))
        }
        Some(id) => Ok(id.to_owned()),
    }
}

fn given<T>(
    value: Option<&str>,
    what: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<T, String> {
    let value = value.ok_or_else(|| format!("{what} is missing"))?;
    parse(value).map_err(|reason| format!("{what} {reason}"))
}

/// The hash as it was written, for it is compared and upgraded as such. What
/// is said of it never repeats it.
fn hash(text: Option<&SecretString>) -> Result<String, String> {
    let text = text.map(ExposeSecret::expose_secret).unwrap_or_default();
    if text.is_empty() {
        return Err("the password hash is missing".to_owned());
    }
    match PasswordHash::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(reason) => Err(format!("the password hash {reason}")),
    }
}

/// Reads a list of roles: JSON, PostgreSQL's `{a,b}`, or words between commas,
/// semicolons or spaces.
fn roles(text: Option<&str>) -> Result<Roles, String> {
    let text = text.unwrap_or_default().trim();
    let names: Vec<String> = if text.starts_with('[') {
        serde_json::from_str(text).map_err(|_| "the roles are not a list of names".to_owned())?
    } else {
        text.strip_prefix('{')
            .and_then(|inner| inner.strip_suffix('}'))
            .unwrap_or(text)
            .split([',', ';', ' '])
            .map(|name| name.trim_matches('"').to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    };
    Roles::parse(&names).map_err(|reason| format!("the roles {reason}"))
}

fn disabled(is_active: Option<&str>, disabled: Option<&str>) -> Result<bool, String> {
    let active = truth(is_active, "is_active")?.unwrap_or(true);
    let disabled = truth(disabled, "disabled")?.unwrap_or(false);
    Ok(disabled || !active)
}

fn truth(text: Option<&str>, what: &str) -> Result<Option<bool>, String> {
    let text = text.unwrap_or_default().trim().to_ascii_lowercase();
    match &*text {
        "" => Ok(None),
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(Some(true)),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(Some(false)),
        _ => Err(format!("{what} is neither true nor false")),
    }
}

fn created_at(text: Option<&str>) -> Result<Option<OffsetDateTime>, String> {
    let text = text.unwrap_or_default().trim();
    if text.is_empty() {
        return Ok(None);
    }
    timestamp(text).map(Some).ok_or_else(|| {
        "created_at is not a time, such as 2024-05-01T12:00:00Z or 2024-05-01 12:00:00".to_owned()
    })
}

/// Reads RFC 3339, and what databases write instead: a space for the `T`, an
/// offset without minutes, none at all (then it is UTC), or a date alone.
fn timestamp(text: &str) -> Option<OffsetDateTime> {
    let (date, rest) = text.split_at_checked(10)?;
    if rest.is_empty() {
        return OffsetDateTime::parse(&format!("{date}T00:00:00Z"), &Rfc3339).ok();
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let offset_at = rest.find(['+', '-', 'Z', 'z']).unwrap_or(rest.len());
    let (time, offset) = rest.split_at_checked(offset_at)?;
    let offset = match offset.as_bytes() {
        [] => "Z".to_owned(),
        [b'+' | b'-', _, _] => format!("{offset}:00"),
        [b'+' | b'-', hours @ .., _, _] if hours.len() == 2 => {
            let (hours, minutes) = offset.split_at_checked(3)?;
            format!("{hours}:{minutes}")
        }
        _ => offset.to_owned(),
    };
    OffsetDateTime::parse(&format!("{date}T{}{offset}", time.trim()), &Rfc3339).ok()
}

#[cfg(test)]
mod tests;
