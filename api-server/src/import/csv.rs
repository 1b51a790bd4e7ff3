//! Users from comma-separated values (RFC 4180) with a header.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};

use super::{
    ImportError, row,
    source::{MAX_ROW_BYTES, ReadRow},
};
use crate::store::import::{OldUser, RefusedRow};

/// What the reader may have read ahead of the row that it is at.
const READ_AHEAD: usize = 64 * 1024;

/// The columns that mean something; the first four must be there.
const COLUMNS: [&str; 8] = [
    "id",
    "username",
    "email",
    "hashed_password",
    "created_at",
    "is_active",
    "disabled",
    "roles",
];
const REQUIRED: usize = 4;
const EMAIL: usize = 2;

/// The rows of a file.
pub(super) struct CsvRows<R> {
    reader: Reader<Bounded<R>>,
    left: Rc<Cell<usize>>,
    /// Where each of [`COLUMNS`] is.
    columns: [Option<usize>; COLUMNS.len()],
    width: usize,
    record: ByteRecord,
}

/// Gives so many bytes and then fails: a quote that is never closed must not
/// take the rest of a file, however long, for one value.
struct Bounded<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            let text = "a row has more than 1 MiB; a quote may be left open";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let most = buffer.len().min(left);
        let read = self.inner.read(&mut buffer[..most])?;
        self.left.set(left - read);
        Ok(read)
    }
}

impl<R: Read> CsvRows<R> {
    /// Reads the header.
    pub(super) fn new(file: R) -> Result<Self, ImportError> {
        let left = Rc::new(Cell::new(MAX_ROW_BYTES));
        let bounded = Bounded {
            inner: file,
            left: Rc::clone(&left),
        };
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            // A carriage return before it is stripped: so lines are counted
            // right, and files of either kind are read alike.
            .terminator(Terminator::Any(b'\n'))
            .from_reader(bounded);
        let mut record = ByteRecord::new();
        reader.read_byte_record(&mut record).map_err(broken)?;
        let header: Vec<String> = record
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_lowercase())
            .collect();
        let columns = COLUMNS.map(|name| header.iter().position(|column| column == name));
        for (name, column) in COLUMNS.iter().zip(columns).take(REQUIRED) {
            if column.is_none() {
                return Err(ImportError::Shape(format!(
                    "its first line names no column {name}"
                )));
            }
        }
        for name in COLUMNS {
            if header.iter().filter(|column| *column == name).count() > 1 {
                return Err(ImportError::Shape(format!(
                    "its first line names the column {name} twice"
                )));
            }
        }
        Ok(Self {
            reader,
            left,
            columns,
            width: header.len(),
            record,
        })
    }

    /// A line with nothing on it.
    fn is_blank(&self) -> bool {
        self.record.len() == 1 && self.record[0].trim_ascii().is_empty()
    }

    /// The line that the row begins on. The reader knows where it began to
    /// look, which may be some empty lines before, and where the row ended.
    fn line(&self) -> u64 {
        let looked = self.record.position().map_or(0, csv::Position::line);
        let breaks = self.record.as_slice().iter().filter(|b| **b == b'\n');
        let breaks = u64::try_from(breaks.count()).unwrap_or(u64::MAX);
        let ended = self.reader.position().line();
        looked.max(ended.saturating_sub(1).saturating_sub(breaks))
    }

    /// A value, without what is left of a line's end.
    fn value(&self, column: Option<usize>) -> Option<&[u8]> {
        let value = self.record.get(column?)?;
        let last = column == Some(self.width - 1);
        Some(if last {
            value.strip_suffix(b"\r").unwrap_or(value)
        } else {
            value
        })
    }

    /// Whether a value of several lines, in a column that is not read, holds a
    /// line with an address where a row has its own: that is what a quote that
    /// is left open makes of the rows after it. Such lines hold no quotes, for
    /// one would have ended the value: they may be split at commas.
    fn holds_another_row(&self) -> bool {
        let Some(email) = self.columns[EMAIL] else {
            return false;
        };
        let is_address = |text: &[u8]| {
            text.contains(&b'@') && !text.trim_ascii().iter().any(u8::is_ascii_whitespace)
        };
        let values = self.record.iter().enumerate();
        let long = values.filter(|(_, value)| value.contains(&b'\n'));
        let lines = long.flat_map(|(column, value)| {
            let lines = value.split(|byte| *byte == b'\n').enumerate();
            // The first of them begins where the value does.
            lines.map(move |(n, line)| (if n == 0 { column } else { 0 }, line))
        });
        let mut rows = lines.filter(|(begins_at, line)| {
            let place = email.checked_sub(*begins_at);
            let parts: Vec<_> = line.split(|byte| *byte == b',').collect();
            let found = place.and_then(|place| parts.get(place));
            parts.len() > 1 && found.is_some_and(|text| is_address(text))
        });
        rows.next().is_some()
    }

    fn content(&self) -> Result<OldUser, RefusedRow> {
        if self.record.len() != self.width {
            let (has, width) = (self.record.len(), self.width);
            let reason = format!(
                "the row has {has} values for {width} columns; a quote may be out of place"
            );
            return Err(row::unreadable(reason));
        }
        let values = self.columns.map(|column| self.value(column));
        if values.iter().flatten().any(|value| value.contains(&b'\n')) {
            let last = self.reader.position().line().saturating_sub(1);
            let reason = format!("a value goes on until line {last}; a quote may be left open");
            return Err(row::unreadable(reason));
        }
        if self.holds_another_row() {
            let last = self.reader.position().line().saturating_sub(1);
            let reason = format!(
                "a value goes on until line {last} and seems to hold another row; a quote may be \
                 left open"
            );
            return Err(row::unreadable(reason));
        }
        let mut texts = [const { None }; COLUMNS.len()];
        for (text, value) in texts.iter_mut().zip(values) {
            let Some(value) = value.filter(|value| !value.is_empty()) else {
                continue;
            };
            let value = str::from_utf8(value);
            let value = value.map_err(|_| row::unreadable("the row is not UTF-8".to_owned()))?;
            *text = Some(value.to_owned());
        }
        let [
            id,
            username,
            email,
            hashed_password,
            created_at,
            is_active,
            disabled,
            roles,
        ] = texts;
        Ok(OldUser {
            id,
            username,
            email,
            hashed_password: hashed_password.map(Into::into),
            created_at,
            is_active,
            disabled,
            roles,
        })
    }
}

impl<R: Read> Iterator for CsvRows<R> {
    type Item = Result<ReadRow, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.left.set(MAX_ROW_BYTES + READ_AHEAD);
            match self.reader.read_byte_record(&mut self.record) {
                Ok(false) => return None,
                Err(error) => return Some(Err(broken(error))),
                Ok(true) if self.is_blank() => {}
                Ok(true) => {
                    return Some(Ok(ReadRow {
                        place: i64::try_from(self.line()).unwrap_or(i64::MAX),
                        content: self.content(),
                    }));
                }
            }
        }
    }
}

fn broken(error: csv::Error) -> ImportError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => ImportError::File(error),
        _ => ImportError::Shape("it is not comma-separated values".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: impl AsRef<[u8]>) -> Result<Vec<ReadRow>, ImportError> {
        CsvRows::new(text.as_ref())?.collect()
    }

    fn names(rows: &[ReadRow]) -> Vec<(i64, Option<&str>)> {
        let name = |row: &'_ ReadRow| row.content.as_ref().ok().and_then(|u| u.username.clone());
        rows.iter()
            .map(|row| (row.place, name(row)))
            .map(|(place, name)| (place, name.map(|name| &*name.leak())))
            .collect()
    }

    #[test]
    fn columns_are_found_by_their_names_in_any_order() {
        let text = "\u{feff}Email,hashed_password, USERNAME ,bio,id\r\n\
            a@b.c,hash,guybrush,\"pirate, \"\"mighty\"\"\r\nand more\",1\r\n\
            \r\n\
            d@e.f,,\"Łê, Chuck\",,2\r\n";
        let rows = read(text).unwrap();
        assert_eq!(
            names(&rows),
            [(2, Some("guybrush")), (5, Some("Łê, Chuck"))]
        );
        let second = rows[1].content.as_ref().ok().unwrap();
        assert_eq!(second.id.as_deref(), Some("2"));
        assert_eq!(second.email.as_deref(), Some("d@e.f"));
        assert!(second.hashed_password.is_none(), "empty is absent");
        assert!(second.roles.is_none());
    }

    #[test]
    fn a_bad_row_is_refused_and_the_next_is_read() {
        let mut text = b"id,username,email,hashed_password\n1,a,b\n".to_vec();
        text.extend(b"2,\xff\xfe,c@d.e,x\n3,a,b,c,d\n4,\"a\nb\",c,d\n5,good,a@b.c,x");
        let rows = read(text).unwrap();
        let places: Vec<_> = rows.iter().map(|row| row.place).collect();
        assert_eq!(places, [2, 3, 4, 5, 7]);
        let reason = |row: &ReadRow| row.content.as_ref().err().map(|r| r.reasons[0].clone());
        for (row, words) in rows
            .iter()
            .zip(["3 values", "UTF-8", "5 values", "until line 6"])
        {
            let reason = reason(row).unwrap();
            assert!(reason.contains(words), "{reason}");
        }
        assert!(reason(&rows[4]).is_none());
    }

    #[test]
    fn a_quote_left_open_in_a_column_that_is_not_read_swallows_no_row() {
        let last = "id,username,email,hashed_password,bio\n";
        let first = "bio,id,username,email,hashed_password\n";
        let only = "email,bio,id,username,hashed_password\n";
        for (header, rows) in [
            (
                last,
                "1,a,a@b.c,x,\"open\n2,b,b@b.c,x,ordinary\n3,c,c@b.c,x,\"quoted\"\n",
            ),
            (last, "1,a,a@b.c,x,\"open\n2,b,b@b.c,x,\"quoted\"\n"),
            (last, "1,a,a@b.c,x,\"open\n2,b,b@b.c,x,to the end\n"),
            (first, "\"open,1,a,a@b.c,x\n\"quoted\",2,b,b@b.c,x\n"),
            (only, "a@b.c,\"open,1,a,x\nb@b.c,\"quoted\",2,b,x\n"),
        ] {
            let read = read(format!("{header}{rows}")).unwrap();
            let refused = read[0].content.as_ref().err().expect(rows);
            assert!(refused.reasons[0].contains("another row"), "{rows}");
        }
        for (header, row) in [
            (
                last,
                "1,a,a@b.c,x,\"Dear, all,\nwrite, please, to me@b.c, or call,\nyours\"\n",
            ),
            (
                first,
                "\"me@b.c, or\nbetter, call, then, come, or not\",1,a,a@b.c,x\n",
            ),
            (only, "a@b.c,\"write to me@b.c, or\nme@b.c\",1,a,x\n"),
        ] {
            let read = read(format!("{header}{row}")).unwrap();
            assert_eq!(read.len(), 1, "{row}");
            assert!(read[0].content.is_ok(), "{row}");
        }
    }

    #[test]
    fn a_header_that_lacks_a_column_is_refused() {
        for (text, words) in [
            ("", "no column id"),
            ("id;username;email;hashed_password\n", "no column id"),
            ("id,username,email\n1,a,b\n", "no column hashed_password"),
            ("id,id,username,email,hashed_password\n", "id twice"),
        ] {
            let error = read(text).err().unwrap().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_quote_that_is_never_closed_is_found_before_it_fills_the_memory() {
        let header = "id,username,email,hashed_password\n1,\"";
        let endless = header.as_bytes().chain(io::repeat(b'x'));
        let error = CsvRows::new(endless)
            .unwrap()
            .next()
            .unwrap()
            .err()
            .unwrap();
        assert!(error.to_string().contains("1 MiB"), "{error}");
        // Many rows of ordinary size are no such thing.
        let rows = "1,a,b,c\n".repeat(400_000);
        let text = format!("id,username,email,hashed_password\n{rows}");
        assert_eq!(read(text).unwrap().len(), 400_000);
    }

    proptest! {
        #[test]
        fn no_file_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut text = b"id,username,email,hashed_password,roles\n".to_vec();
            text.extend(&bytes);
            for row in read(&text).into_iter().flatten() {
                let _ = row.content.and_then(|old| row::judge(&old));
            }
            let _ = read(&bytes);
        }

        #[test]
        fn what_is_written_is_read_again(
            names in proptest::collection::vec("[^\\x00\n]{1,20}", 1..20),
        ) {
            let mut writer = csv::Writer::from_writer(Vec::new());
            writer.write_record(["id", "username", "email", "hashed_password"]).unwrap();
            for name in &names {
                writer.write_record(["1", name, "e", "h"]).unwrap();
            }
            let rows = read(writer.into_inner().unwrap()).unwrap();
            let read: Vec<_> = rows.into_iter().map(|row| row.content.ok().unwrap().username.unwrap()).collect();
            prop_assert_eq!(read, names);
        }
    }
}
