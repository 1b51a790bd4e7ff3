//! What may become a password. The policy applies when one is set, never when
//! one is presented: tightening it must not lock anybody out.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// The most characters that a new password may have.
pub const MAX_CHARS: usize = 128;
/// The fewest characters that a policy may ask for.
pub const LOWEST_MINIMUM: usize = 8;
/// The most bytes that login reads of a password; longer ones are wrong, after
/// the same work.
pub const MAX_LOGIN_BYTES: usize = 1_024;

/// The most common passwords of at least eight characters, lower-case, sorted
/// by byte, one a line: those that NIST SP 800-63B, section 3.1.1.2, wants
/// refused. `assets/README.md` says where they come from.
static COMMON: &str = include_str!("common_passwords.txt");

/// The rules for new passwords; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    min_chars: usize,
    words: Arc<[String]>,
}

/// A password that has passed the policy.
#[derive(Clone, Debug)]
pub struct NewPassword(SecretString);

/// Why a new password is refused. No text repeats the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Fewer characters than the policy asks for.
    #[error("must have at least {0} characters")]
    TooShort(usize),
    /// More than [`MAX_CHARS`] characters.
    #[error("must have at most 128 characters")]
    TooLong,
    /// A NUL, which other programs take for the end.
    #[error("must not contain a NUL character")]
    Nul,
    /// Among the first that an attacker tries.
    #[error("is among the most common passwords")]
    Common,
    /// Little more than the user name or the e-mail address.
    #[error("is too much like the user name or the e-mail address")]
    LikeTheName,
    /// Little more than what this service is called.
    #[error("is too much like a name of this service")]
    LikeTheService,
}

/// A minimum outside 8 to 128.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("must be from 8 to 128")]
pub struct MinimumError;

impl PasswordPolicy {
    /// A policy that asks for at least `min_chars` characters, and for more
    /// than one of these words: names of the service and of who runs it, which
    /// are the first to be guessed (NIST SP 800-63B, section 3.1.1.2). Words of
    /// fewer than four characters are left out: too much contains them.
    pub fn new<W: AsRef<str>>(
        min_chars: usize,
        words: impl IntoIterator<Item = W>,
    ) -> Result<Self, MinimumError> {
        if !(LOWEST_MINIMUM..=MAX_CHARS).contains(&min_chars) {
            return Err(MinimumError);
        }
        let words = words.into_iter();
        let words = words.map(|word| word.as_ref().trim().to_lowercase());
        Ok(Self {
            min_chars,
            words: words
                .filter(|word| word.chars().count() >= SHORTEST_WORD)
                .collect(),
        })
    }

    /// The fewest characters that a new password may have.
    #[must_use]
    pub fn min_chars(&self) -> usize {
        self.min_chars
    }

    /// Judges a password for the account with these names.
    pub fn check(
        &self,
        password: SecretString,
        username: &str,
        email: &str,
    ) -> Result<NewPassword, PasswordError> {
        let text = password.expose_secret();
        let chars = text.chars().count();
        if chars < self.min_chars {
            return Err(PasswordError::TooShort(self.min_chars));
        }
        if chars > MAX_CHARS {
            return Err(PasswordError::TooLong);
        }
        if text.contains('\0') {
            return Err(PasswordError::Nul);
        }
        let folded = text.to_lowercase();
        if is_common(&folded) {
            return Err(PasswordError::Common);
        }
        let local = email.split('@').next().unwrap_or_default();
        if [username, email, local]
            .iter()
            .any(|name| is_like(&folded, &name.to_lowercase()))
        {
            return Err(PasswordError::LikeTheName);
        }
        if self.words.iter().any(|word| is_like(&folded, word)) {
            return Err(PasswordError::LikeTheService);
        }
        Ok(NewPassword(password))
    }
}

impl NewPassword {
    /// The password, to be hashed.
    #[must_use]
    pub fn into_secret(self) -> SecretString {
        self.0
    }
}

/// Shorter words stand in too many passwords to mean anything.
const SHORTEST_WORD: usize = 4;

/// Fewer characters than this beside a name do not make a password of it.
const ENOUGH_BESIDE_A_NAME: usize = 4;

fn is_like(password: &str, name: &str) -> bool {
    !name.is_empty()
        && password.contains(name)
        && password.chars().count() - name.chars().count() < ENOUGH_BESIDE_A_NAME
}

/// Whether the list has this lower-case text: a binary search over the file as
/// it is, which costs no memory beyond the binary's own pages.
fn is_common(folded: &str) -> bool {
    let list = COMMON.as_bytes();
    let wanted = folded.as_bytes();
    let (mut low, mut high) = (0, list.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        let start = list[low..middle]
            .iter()
            .rposition(|&b| b == b'\n')
            .map_or(low, |at| low + at + 1);
        let end = list[middle..high]
            .iter()
            .position(|&b| b == b'\n')
            .map_or(high, |at| middle + at);
        match list[start..end].cmp(wanted) {
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Less => low = (end + 1).min(high),
            std::cmp::Ordering::Greater => high = start,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(min_chars: usize) -> PasswordPolicy {
        PasswordPolicy::new(min_chars, ["AuthStack", "example", "com"]).unwrap()
    }

    fn check(password: &str) -> Result<(), PasswordError> {
        policy(8)
            .check(password.into(), "guybrush", "threepwood@example.com")
            .map(drop)
    }

    #[test]
    fn what_existing_clients_use_is_acceptable() {
        assert_eq!(check("securepass"), Ok(()));
        assert_eq!(check("correct horse battery staple"), Ok(()));
        assert_eq!(check("пароль-и-ещё"), Ok(()));
    }

    #[test]
    fn refusals_say_what_is_wrong() {
        for (password, expected) in [
            ("", PasswordError::TooShort(8)),
            ("1234567", PasswordError::TooShort(8)),
            ("пароль1", PasswordError::TooShort(8)),
            (&*"x".repeat(129), PasswordError::TooLong),
            ("nul\0inside", PasswordError::Nul),
            ("password", PasswordError::Common),
            ("PassWord1", PasswordError::Common),
            ("guybrush", PasswordError::LikeTheName),
            ("Guybrush123", PasswordError::LikeTheName),
            ("1threepwood", PasswordError::LikeTheName),
            ("threepwood@example.com", PasswordError::LikeTheName),
            ("authstack", PasswordError::LikeTheService),
            ("AuthStack26", PasswordError::LikeTheService),
            ("!example", PasswordError::LikeTheService),
        ] {
            assert_eq!(check(password), Err(expected), "{password:?}");
        }
        assert_eq!(check("guybrush and more"), Ok(()));
        assert_eq!(check("authstack and more"), Ok(()));
        assert_eq!(check("xy-com-1"), Ok(()), "short words do not count");
        assert_eq!(check(&"x7".repeat(64)), Ok(()));
    }

    #[test]
    fn the_minimum_is_bounded() {
        for minimum in [7, 129] {
            assert_eq!(PasswordPolicy::new(minimum, [""]), Err(MinimumError));
        }
        let strict = policy(12);
        assert_eq!(
            strict.check("securepass".into(), "a", "b@c.d").map(drop),
            Err(PasswordError::TooShort(12))
        );
    }

    #[test]
    fn the_list_is_sorted_and_every_line_is_found() {
        let lines: Vec<&str> = COMMON.lines().collect();
        assert!(lines.len() > 5_000);
        assert!(
            lines
                .windows(2)
                .all(|pair| pair[0].as_bytes() < pair[1].as_bytes())
        );
        for line in lines {
            assert!(is_common(line), "{line}");
            assert_eq!(line, line.to_lowercase());
        }
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_a_scan(text in "[a-z0-9]{1,12}|\\PC{0,10}") {
            prop_assert_eq!(is_common(&text), COMMON.lines().any(|line| line == text));
        }

        #[test]
        fn nothing_panics(password in ".{0,200}", name in ".{0,70}", email in ".{0,70}") {
            let _ = policy(8).check(password.into(), &name, &email);
        }
    }
}
