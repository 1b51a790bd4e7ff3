//! Users from a file with one JSON object on each line.

use std::io::{BufRead, BufReader, Read};

use serde::Deserialize;
use serde_json::Value;

use super::{
    ImportError, row,
    source::{MAX_ROW_BYTES, ReadRow},
};
use crate::store::import::{OldUser, RefusedRow};

/// The rows of a file.
pub(super) struct JsonLines<R> {
    reader: BufReader<R>,
    line: i64,
}

/// What a line may hold; other members mean nothing.
#[derive(Deserialize)]
struct Line {
    id: Option<Value>,
    username: Option<Value>,
    email: Option<Value>,
    hashed_password: Option<Value>,
    created_at: Option<Value>,
    is_active: Option<Value>,
    disabled: Option<Value>,
    roles: Option<Value>,
}

impl<R: Read> JsonLines<R> {
    pub(super) fn new(file: R) -> Self {
        Self {
            reader: BufReader::new(file),
            line: 0,
        }
    }

    /// Reads a line, or so much of it as a row may have, and passes the rest.
    fn read_line(&mut self) -> Result<Vec<u8>, ImportError> {
        let most = u64::try_from(MAX_ROW_BYTES + 1).unwrap_or(u64::MAX);
        let mut line = Vec::new();
        let mut limited = self.reader.by_ref().take(most);
        limited
            .read_until(b'\n', &mut line)
            .map_err(ImportError::File)?;
        if line.len() > MAX_ROW_BYTES && !line.ends_with(b"\n") {
            self.reader.skip_until(b'\n').map_err(ImportError::File)?;
        }
        self.line += 1;
        Ok(line)
    }
}

impl<R: Read> Iterator for JsonLines<R> {
    type Item = Result<ReadRow, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = match self.read_line() {
                Ok(line) if line.is_empty() => return None,
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            let text = if self.line == 1 {
                line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line)
            } else {
                &line
            };
            if !text.trim_ascii().is_empty() {
                return Some(Ok(ReadRow {
                    place: self.line,
                    content: content(text),
                }));
            }
        }
    }
}

fn content(text: &[u8]) -> Result<OldUser, RefusedRow> {
    if text.len() > MAX_ROW_BYTES {
        return Err(row::unreadable("the line has more than 1 MiB".to_owned()));
    }
    // What the parser says is not repeated: it may quote a value.
    let line: Line = serde_json::from_slice(text)
        .map_err(|_| row::unreadable("the line is not a JSON object of a user".to_owned()))?;
    Ok(OldUser {
        id: line.id.and_then(as_text),
        username: line.username.and_then(as_text),
        email: line.email.and_then(as_text),
        hashed_password: line.hashed_password.and_then(as_text).map(Into::into),
        created_at: line.created_at.and_then(as_text),
        is_active: line.is_active.and_then(as_text),
        disabled: line.disabled.and_then(as_text),
        roles: line.roles.and_then(as_text),
    })
}

/// A value as PostgreSQL's `->>` would give it.
fn as_text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: impl AsRef<[u8]>) -> Vec<ReadRow> {
        let rows: Result<_, _> = JsonLines::new(text.as_ref()).collect();
        rows.ok().unwrap()
    }

    #[test]
    fn a_line_is_a_user_whatever_else_it_says() {
        let text = concat!(
            "\u{feff}{\"id\": 1, \"username\": \"guybrush\", \"email\": \"a@b.c\", \"ship\": [{}],",
            " \"hashed_password\": \"x\", \"is_active\": false, \"roles\": [\"admin\"]}\r\n",
            "\n  \n",
            "{\"id\": \"0190-x\", \"username\": \"\\u0141e\", \"email\": null}",
        );
        let rows = read(text);
        let places: Vec<_> = rows.iter().map(|row| row.place).collect();
        assert_eq!(places, [1, 4]);
        let first = rows[0].content.as_ref().ok().unwrap();
        assert_eq!(first.id.as_deref(), Some("1"));
        assert_eq!(first.username.as_deref(), Some("guybrush"));
        assert_eq!(first.is_active.as_deref(), Some("false"));
        assert_eq!(first.roles.as_deref(), Some("[\"admin\"]"));
        let second = rows[1].content.as_ref().ok().unwrap();
        assert_eq!(second.id.as_deref(), Some("0190-x"));
        assert_eq!(second.username.as_deref(), Some("Łe"));
        assert!(second.email.is_none());
    }

    #[test]
    fn a_bad_line_is_refused_and_the_next_is_read() {
        let long = format!("{{\"id\": \"{}\"}}", "x".repeat(2 * MAX_ROW_BYTES));
        let deep = "[".repeat(100_000);
        let twice = r#"{"id": 1, "id": 2}"#;
        let lines = [
            "nonsense",
            "[]",
            "{\"id\": 1",
            &long,
            &deep,
            twice,
            "{}",
            "7",
        ];
        let rows = read(lines.join("\n"));
        assert_eq!(rows.len(), lines.len());
        let good: Vec<_> = rows.iter().filter(|row| row.content.is_ok()).collect();
        assert_eq!(good.len(), 1);
        assert_eq!(good[0].place, 7);
        assert!(read("").is_empty());
    }

    proptest! {
        #[test]
        fn no_line_panics(text in "\\PC{0,200}|\\{(\"(id|email|roles)\": ?[\\[\\]0-9a-z\"]{0,9},?){0,4}\\}") {
            for row in read(&text) {
                let _ = row.content.and_then(|old| row::judge(&old));
            }
        }

        #[test]
        fn no_file_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let rows = read(&bytes);
            let lines = bytes.split(|&b| b == b'\n').count();
            prop_assert!(rows.len() <= lines);
        }
    }
}
