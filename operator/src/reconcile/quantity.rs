//! Kubernetes' quantities as numbers, so that they can be compared.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Billionths of one, the smallest that a quantity can say.
const ONE: u128 = 1_000_000_000;

/// A quantity in billionths (`apimachinery/pkg/api/resource`); nothing where it
/// is none, is negative or is beyond all that anybody has.
#[must_use]
pub fn amount(Quantity(text): &Quantity) -> Option<u128> {
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
    let (times, by) = scale(suffix)?;
    let places = u32::try_from(fraction.len()).ok()?;
    let by = by.checked_mul(10_u128.checked_pow(places)?)?;
    Some(digits.checked_mul(times)? / by)
}

/// What a suffix multiplies and divides billionths by.
fn scale(suffix: &str) -> Option<(u128, u128)> {
    const DECIMAL: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let power = |suffixes: [&str; 7]| {
        let power = suffixes.iter().position(|one| *one == suffix)?;
        u32::try_from(power).ok()
    };
    match suffix {
        "n" => return Some((1, 1)),
        "u" => return Some((1_000, 1)),
        "m" => return Some((1_000_000, 1)),
        _ => {}
    }
    if let Some(power) = power(DECIMAL) {
        return Some((ONE * 1_000_u128.pow(power), 1));
    }
    if let Some(power) = power(BINARY) {
        return Some((ONE * 1_024_u128.pow(power), 1));
    }
    let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
    let power = 10_u128.checked_pow(exponent.unsigned_abs())?;
    Some(if exponent < 0 {
        (ONE, power)
    } else {
        (ONE.checked_mul(power)?, 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<u128> {
        amount(&Quantity(text.to_owned()))
    }

    #[test]
    fn one_amount_may_be_written_in_many_ways() {
        for (one, other) in [
            ("1Gi", "1024Mi"),
            ("1.5Gi", "1536Mi"),
            ("0.1", "100m"),
            (".5", "500m"),
            ("2.", "2"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("12e-1", "1200m"),
            ("1m", "1000u"),
            ("1u", "1000n"),
            ("3E", "3000P"),
        ] {
            assert!(of(one).is_some(), "{one}");
            assert_eq!(of(one), of(other), "{one} {other}");
        }
        assert_eq!(of("2"), Some(2 * ONE));
        assert_eq!(of("1Ki"), Some(1_024 * ONE));
        assert!(of("1Gi") > of("1G"));
    }

    #[test]
    fn what_is_no_amount_is_none() {
        for text in ["", "lots", "1.2.3", "-1", "1 Gi", "1ki", "1e", "1e99", "."] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
