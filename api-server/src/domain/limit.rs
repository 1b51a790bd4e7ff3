//! How often something may be done, as people write it: `10/6s`.

use std::{fmt, str::FromStr, time::Duration};

use thiserror::Error;

/// A token bucket's size and speed: `^[1-9][0-9]{0,5}/[1-9][0-9]{0,4}(ms|s|m|h)$`.
/// `10/6s` is ten at once, then one every six seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    burst: u32,
    period: Duration,
}

/// A text is not a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LimitError {
    /// It does not read as one.
    #[error(
        "must be how many at once, a slash, and the time in which one more is allowed \
         (a number up to 99999 with ms, s, m or h), such as 10/6s"
    )]
    Form,
    /// An empty bucket would take more than a year to fill.
    #[error("must allow as many as at once again within a year")]
    TooSlow,
}

/// The longest that an empty bucket may take to fill.
const YEAR: Duration = Duration::from_hours(366 * 24);

impl Limit {
    /// How many are allowed at once.
    #[must_use]
    pub fn burst(self) -> u32 {
        self.burst
    }

    /// The time in which one more is allowed.
    #[must_use]
    pub fn period(self) -> Duration {
        self.period
    }
}

impl FromStr for Limit {
    type Err = LimitError;

    fn from_str(text: &str) -> Result<Self, LimitError> {
        let (burst, period) = text.split_once('/').ok_or(LimitError::Form)?;
        let unit = period
            .find(|c: char| !c.is_ascii_digit())
            .ok_or(LimitError::Form)?;
        let (period, unit) = period.split_at(unit);
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(LimitError::Form),
        };
        let burst = number(burst, 6)?;
        let period = Duration::from_millis(u64::from(number(period, 5)?) * milliseconds);
        match period.checked_mul(burst) {
            Some(full) if full <= YEAR => Ok(Self { burst, period }),
            _ => Err(LimitError::TooSlow),
        }
    }
}

/// A whole number from 1 with at most so many digits.
fn number(text: &str, digits: usize) -> Result<u32, LimitError> {
    let well_formed = (1..=digits).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_digit())
        && !text.starts_with('0');
    if !well_formed {
        return Err(LimitError::Form);
    }
    text.parse().map_err(|_| LimitError::Form)
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let period = self.period.as_millis();
        for (milliseconds, unit) in [(3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
            if period.is_multiple_of(milliseconds) {
                return write!(f, "{}/{}{unit}", self.burst, period / milliseconds);
            }
        }
        write!(f, "{}/{period}ms", self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_limit_is_what_it_says() {
        for (text, burst, millis) in [
            ("10/6s", 10, 6_000),
            ("100/500ms", 100, 500),
            ("20/3m", 20, 180_000),
            ("999999/31s", 999_999, 31_000),
            ("1/8784h", 1, 31_622_400_000),
            ("1/1ms", 1, 1),
        ] {
            let limit: Limit = text.parse().unwrap();
            assert_eq!(limit.burst(), burst);
            assert_eq!(limit.period(), Duration::from_millis(millis));
            assert_eq!(limit.to_string(), text);
        }
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "10",
            "/",
            "10/",
            "/6s",
            "10/6",
            "10/s",
            "0/6s",
            "10/0s",
            "01/6s",
            "10/06s",
            "1000000/1s",
            "1/100000s",
            "10/6d",
            "10/6sec",
            "-1/6s",
            "10/-6s",
            "10 / 6s",
            "10/6s ",
            "１0/6s",
            "10/6s/6s",
            "banana",
        ] {
            assert_eq!(text.parse::<Limit>(), Err(LimitError::Form), "{text:?}");
        }
    }

    #[test]
    fn a_bucket_fills_within_a_year() {
        for text in ["1/8785h", "2/8784h", "999999/99999h"] {
            assert_eq!(text.parse::<Limit>(), Err(LimitError::TooSlow), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(burst in 1_u32..1_000_000, period in 1_u32..30_000) {
            let limit = Limit { burst, period: Duration::from_millis(period.into()) };
            prop_assert_eq!(limit.to_string().parse(), Ok(limit));
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = text.parse::<Limit>();
        }
    }
}
