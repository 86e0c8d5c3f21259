//! The names and ids of the runtime, each with its rule.

use std::fmt;
use std::str::FromStr;

use purser_db::{ToValue, Value};
use purser_values::Env;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: {rule}")]
pub struct ParseNameError {
    text: String,
    what: &'static str,
    rule: &'static str,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $parse:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl FromStr for $name {
            type Err = ParseNameError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                let parse: fn(&str) -> Option<String> = $parse;
                parse(s).map(Self).ok_or_else(|| ParseNameError { text: s.chars().take(64).collect(), what: $what, rule: $rule })
            }
        }
        impl TryFrom<String> for $name {
            type Error = ParseNameError;
            fn try_from(s: String) -> Result<Self, Self::Error> {
                s.parse()
            }
        }
        impl From<$name> for String {
            fn from(n: $name) -> Self {
                n.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }
        impl ToValue for $name {
            fn to_value(&self) -> Value {
                Value::Text(self.0.clone())
            }
        }
    };
}

fn script(s: &str) -> Option<String> {
    let inner = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let ok = !s.is_empty() && s.len() <= 63 && s.bytes().all(inner) && s.as_bytes()[0].is_ascii_alphanumeric() && !s.ends_with('-');
    ok.then(|| s.to_owned())
}

fn label(s: &str) -> Option<String> {
    let inner = |b: u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let ok = !s.is_empty() && s.len() <= 63 && s.bytes().all(inner) && !s.starts_with('-') && !s.ends_with('-');
    ok.then(|| s.to_owned())
}

fn resource(s: &str) -> Option<String> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (!s.is_empty() && s.len() <= 128 && s.bytes().all(inner)).then(|| s.to_owned())
}

/// JavaScript identifiers, so that a binding is reachable as `env.NAME` and nothing of it needs escaping anywhere.
fn binding(s: &str) -> Option<String> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b == b'$';
    let ok = !s.is_empty() && s.len() <= 255 && first(s.as_bytes()[0]) && s.bytes().all(|b| first(b) || b.is_ascii_digit());
    ok.then(|| s.to_owned())
}

fn uuid(s: &str) -> Option<String> {
    let hex: String = s.chars().filter(|c| *c != '-').collect();
    let dashed_well = s.len() == 32 || (s.len() == 36 && [8, 13, 18, 23].iter().all(|i| s.as_bytes()[*i] == b'-'));
    let ok = dashed_well && hex.len() == 32 && hex.bytes().all(|b| b.is_ascii_hexdigit());
    ok.then(|| dashed(&hex.to_ascii_lowercase()))
}

fn dashed(hex: &str) -> String {
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn fresh(env: &Env) -> String {
    let mut bytes = env.bytes::<16>();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    dashed(&hex::encode(bytes))
}

text!(
    /// The name of a Worker within its account.
    ScriptName, "a Worker's name", "1 to 63 lower-case letters, digits, `-` and `_`, starting with a letter or digit", script
);
text!(
    /// An account's label below the common domain of Workers.
    SubdomainName, "a subdomain", "1 to 63 lower-case letters, digits and hyphens, no hyphen at either end", label
);
text!(
    /// The name of a binding.
    BindingName, "a binding's name", "a JavaScript identifier of at most 255 ASCII characters", binding
);
text!(
    /// What a binding points at: the id of a key-value namespace or a database, the name of a bucket or a queue.
    ResourceId, "the id of a bound resource", "1 to 128 letters, digits, `-`, `_` and `.`", resource
);
text!(
    /// The id of a version: a dashed UUID; 32 hexadecimal digits are taken too.
    VersionId, "a version id", "a UUID", uuid
);
text!(
    /// The id of a deployment or of a custom domain: a dashed UUID; 32 hexadecimal digits are taken too.
    Uuid, "an id", "a UUID", uuid
);

impl VersionId {
    #[must_use]
    pub fn mint(env: &Env) -> Self {
        Self(fresh(env))
    }
}

impl Uuid {
    #[must_use]
    pub fn mint(env: &Env) -> Self {
        Self(fresh(env))
    }

    /// The 32 hexadecimal digits without dashes.
    #[must_use]
    pub fn hex(&self) -> String {
        self.0.replace('-', "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::Timestamp;

    #[test]
    fn a_script_name_is_safe_in_a_host_name_and_in_a_path() {
        for good in ["a", "hello-world", "api_v2", "9lives"] {
            assert!(good.parse::<ScriptName>().is_ok(), "`{good}` was refused");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "a\"b", "ü", &"x".repeat(64)] {
            assert!(bad.parse::<ScriptName>().is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn a_version_id_is_one_value_in_both_spellings() {
        let (env, _) = Env::test(Timestamp::EPOCH, 1);
        let id = VersionId::mint(&env);
        assert_eq!(id.as_str().replace('-', "").parse::<VersionId>().unwrap(), id);
        assert!("zz".parse::<VersionId>().is_err());
        assert!("é1111111-1111-1111-1111-11111111111".parse::<VersionId>().is_err());
    }

    #[test]
    fn a_binding_name_is_an_identifier() {
        for bad in ["", "1a", "a-b", "a b", "a\"", "é"] {
            assert!(bad.parse::<BindingName>().is_err(), "`{bad}` was taken");
        }
        assert!("MY_VAR$1".parse::<BindingName>().is_ok());
    }
}
