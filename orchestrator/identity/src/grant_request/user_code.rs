//! The short code that a person compares or types.

use std::fmt;
use std::str::FromStr;

use purser_values::Env;

/// Letters without vowels and without those that look like another (RFC 8628, 6.1): eight of them are 34 bits.
const ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LETTERS: usize = 8;

/// A code such as `WDJB-MJHT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCode(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a code has eight letters, such as `WDJB-MJHT`")]
pub struct ParseUserCodeError;

impl UserCode {
    pub(crate) fn mint(env: &Env) -> Self {
        let mut letters = Vec::with_capacity(LETTERS);
        while letters.len() < LETTERS {
            // 240 is the largest multiple of 20 in a byte
            letters.extend(env.bytes::<16>().into_iter().filter(|b| *b < 240).map(|b| ALPHABET[usize::from(b) % ALPHABET.len()]));
        }
        letters.truncate(LETTERS);
        Self::grouped(&String::from_utf8_lossy(&letters))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn grouped(letters: &str) -> Self {
        let (head, tail) = letters.split_at(LETTERS / 2);
        Self(format!("{head}-{tail}"))
    }
}

impl FromStr for UserCode {
    type Err = ParseUserCodeError;
    /// Case, spaces and hyphens do not matter.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let letters: String =
            s.chars().filter(|c| !c.is_whitespace() && *c != '-').take(LETTERS + 1).map(|c| c.to_ascii_uppercase()).collect();
        if letters.len() == LETTERS && letters.bytes().all(|b| ALPHABET.contains(&b)) {
            Ok(Self::grouped(&letters))
        } else {
            Err(ParseUserCodeError)
        }
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::Timestamp;

    #[test]
    fn a_code_may_be_typed_in_any_case_with_or_without_its_hyphen() {
        let code = UserCode::mint(&Env::test(Timestamp::EPOCH, 5).0);
        assert_eq!(code.as_str().to_lowercase().parse(), Ok(code.clone()));
        assert_eq!(code.as_str().replace('-', " ").parse(), Ok(code));
        for bad in ["", "ABCD-EFGH", "BCDF-GHJ", "BCDF-GHJKL", "BCDFGHJ\u{c4}"] {
            assert!(bad.parse::<UserCode>().is_err(), "{bad:?} was taken");
        }
    }
}
