//! Lifetimes as people write them: `90s`, `1m`, `12h`, `7d`.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// A lifetime: `^[1-9][0-9]{0,4}(s|m|h|d)$`, so from a second to 99999 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ttl(Duration);

/// A text is not a lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be a number from 1 to 99999 and a unit, s, m, h or d, such as 1m or 7d")]
pub struct TtlError;

impl Ttl {
    /// So many whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The lifetime as a duration.
    #[must_use]
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The lifetime in seconds, as token claims and `Max-Age` count it.
    #[must_use]
    pub fn as_secs(self) -> i64 {
        i64::try_from(self.0.as_secs()).unwrap_or(i64::MAX)
    }
}

impl FromStr for Ttl {
    type Err = TtlError;

    fn from_str(text: &str) -> Result<Self, TtlError> {
        let unit = match text.as_bytes().last() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 3_600,
            Some(b'd') => 86_400,
            _ => return Err(TtlError),
        };
        let digits = &text[..text.len() - 1];
        let well_formed = (1..=5).contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if !well_formed {
            return Err(TtlError);
        }
        let number: u64 = digits.parse().map_err(|_| TtlError)?;
        Ok(Self::from_secs(number * unit))
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        for (unit, name) in [(86_400, 'd'), (3_600, 'h'), (60, 'm')] {
            if seconds.is_multiple_of(unit) {
                return write!(f, "{}{name}", seconds / unit);
            }
        }
        write!(f, "{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_what_they_say() {
        for (text, seconds) in [("1s", 1), ("1m", 60), ("2h", 7200), ("7d", 604_800)] {
            let ttl: Ttl = text.parse().unwrap();
            assert_eq!(ttl.as_secs(), seconds);
            assert_eq!(ttl.to_string(), text);
        }
        assert_eq!("99999d".parse::<Ttl>().unwrap().as_secs(), 8_639_913_600);
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "", "banana", "0m", "01m", "1", "m", "1 m", "-1m", "+1m", "100000s", "1w", "1.5h",
            "１m",
        ] {
            assert_eq!(text.parse::<Ttl>(), Err(TtlError), "{text:?}");
        }
    }
}
