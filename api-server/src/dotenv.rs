//! Files of `NAME=value` lines, as python-dotenv and docker read them, so that
//! the `.env` of an older service works as it is.

use std::{fs, io, path::Path};

/// What a `.env` file says, and what in it was not understood.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dotenv {
    /// Names and values, in the order of the file.
    pub entries: Vec<(String, String)>,
    /// The numbers of lines that are neither empty, comment nor assignment.
    pub malformed: Vec<usize>,
}

/// Reads a file; one that does not exist is empty.
pub fn read(path: &Path) -> io::Result<Dotenv> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text, |name| std::env::var(name).ok())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Dotenv::default()),
        Err(error) => Err(error),
    }
}

/// Reads the text of a file. `${NAME}` stands for an earlier line's value or,
/// before that, what `environment` says, but in single quotes.
pub fn parse(text: &str, environment: impl Fn(&str) -> Option<String>) -> Dotenv {
    let mut found = Dotenv::default();
    // Some editors begin a file with a byte order mark, which is no letter.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let assignment = line
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim()))
            .filter(|(name, _)| is_name(name));
        let Some((name, raw)) = assignment else {
            found.malformed.push(number + 1);
            continue;
        };
        let value = value(raw, |name| {
            let earlier = || {
                let mut lines = found.entries.iter().rev();
                lines
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| value.clone())
            };
            environment(name).or_else(earlier).unwrap_or_default()
        });
        match value {
            Some(value) => found.entries.push((name.to_owned(), value)),
            None => found.malformed.push(number + 1),
        }
    }
    found
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// The value that a text stands for; `None` if a quote is not closed.
fn value(raw: &str, variable: impl Fn(&str) -> String) -> Option<String> {
    if let Some(rest) = raw.strip_prefix('\'') {
        return Some(rest[..rest.find('\'')?].to_owned());
    }
    if let Some(rest) = raw.strip_prefix('"') {
        return Some(expand(&unescape(rest)?, variable));
    }
    // A comment begins at a '#' after a space; one inside a word is a letter.
    let end = raw
        .char_indices()
        .find(|&(at, c)| c == '#' && raw[..at].ends_with([' ', '\t']))
        .map_or(raw.len(), |(at, _)| at);
    Some(expand(raw[..end].trim_end(), variable))
}

/// The text up to the closing double quote, with its escapes resolved.
fn unescape(rest: &str) -> Option<String> {
    let mut text = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                c @ ('"' | '\\' | '\'') => text.push(c),
                c => text.extend(['\\', c]),
            },
            c => text.push(c),
        }
    }
}

fn expand(text: &str, variable: impl Fn(&str) -> String) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        expanded.push_str(before);
        if let Some((name, after)) = after.split_once('}').filter(|(name, _)| is_name(name)) {
            expanded.push_str(&variable(name));
            rest = after;
        } else {
            expanded.push_str("${");
            rest = after;
        }
    }
    expanded.push_str(rest);
    expanded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entries(text: &str) -> Vec<(String, String)> {
        parse(text, |_| None).entries
    }

    #[test]
    fn the_forms_that_people_write() {
        let text = r#"
# a comment
DATABASE_URL=postgresql+asyncpg://user:p%40ss@localhost:5432/db
export SECRET_KEY = "with \"quotes\" and # no comment"
APP_NAME=My Old App   # spaces need no quotes
RAW='${PORT} stays'
HASH=a#b
PORT=8001
PUBLIC_URL="http://localhost:${PORT}/"
EMPTY=
CRLF=yes"#
            .to_owned()
            + "\r\n";
        let expected = [
            (
                "DATABASE_URL",
                "postgresql+asyncpg://user:p%40ss@localhost:5432/db",
            ),
            ("SECRET_KEY", "with \"quotes\" and # no comment"),
            ("APP_NAME", "My Old App"),
            ("RAW", "${PORT} stays"),
            ("HASH", "a#b"),
            ("PORT", "8001"),
            ("PUBLIC_URL", "http://localhost:8001/"),
            ("EMPTY", ""),
            ("CRLF", "yes"),
        ];
        let expected: Vec<_> = expected
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(entries(&text), expected);
    }

    #[test]
    fn the_environment_comes_before_earlier_lines() {
        let found = parse("A=1\nB=${A}${C}", |name| {
            (name == "C").then(|| "env".into())
        });
        assert_eq!(found.entries[1].1, "1env");
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_name() {
        let found = parse("\u{feff}A=1\nB=2", |_| None);
        assert_eq!(found.entries[0], ("A".to_owned(), "1".to_owned()));
        assert_eq!(found.malformed, [0; 0]);
    }

    #[test]
    fn nonsense_is_counted_and_skipped() {
        let found = parse("A=1\nnonsense\n=x\nB='open\n2C=3\nD=4", |_| None);
        assert_eq!(found.malformed, [2, 3, 4, 5]);
        assert_eq!(found.entries.len(), 2);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(.|\n){0,80}|[A-Z]{1,3}=['\"]?[${}A-Z\\\\#' \"]{0,20}") {
            let _ = parse(&text, |_| None);
        }
    }
}
