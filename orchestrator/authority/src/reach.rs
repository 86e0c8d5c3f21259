//! How far a grant reaches in one direction: over names that are written out, or plainly over all there are.
//!
//! "All" is a word of its own, so that an empty or a missing list never means everything.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Written `"all"`, or as a list of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach<T: Ord> {
    /// Also over what does not exist yet.
    All,
    /// Over these. An empty set reaches nothing.
    Only(BTreeSet<T>),
}

impl<T: Ord> Reach<T> {
    /// For fields that older records do not have, where nothing was confined.
    #[must_use]
    pub const fn all() -> Self {
        Self::All
    }

    #[must_use]
    pub fn only(names: impl IntoIterator<Item = T>) -> Self {
        Self::Only(names.into_iter().collect())
    }

    #[must_use]
    pub fn contains(&self, name: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.contains(name),
        }
    }

    /// Whether everything in `self` is in `other`.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::All) => true,
            (Self::All, Self::Only(_)) => false,
            (Self::Only(own), Self::Only(others)) => own.is_subset(others),
        }
    }

    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// How many names are written out; nothing when all are meant.
    #[must_use]
    pub fn len(&self) -> Option<usize> {
        match self {
            Self::All => None,
            Self::Only(names) => Some(names.len()),
        }
    }

    /// The names that are written out; none when all are meant.
    pub fn named(&self) -> impl Iterator<Item = &T> {
        match self {
            Self::All => None,
            Self::Only(names) => Some(names),
        }
        .into_iter()
        .flatten()
    }
}

/// As people read it.
impl<T: Ord + fmt::Display> fmt::Display for Reach<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Only(names) if names.is_empty() => f.write_str("none"),
            Self::Only(names) => {
                for (at, name) in names.iter().enumerate() {
                    write!(f, "{}{name}", if at == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
        }
    }
}

const ALL: &str = "all";

impl<T: Ord + Serialize> Serialize for Reach<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => s.serialize_str(ALL),
            Self::Only(names) => names.serialize(s),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Written<T: Ord> {
    Names(BTreeSet<T>),
    Word(String),
}

impl<'de, T: Ord + Deserialize<'de>> Deserialize<'de> for Reach<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Written::deserialize(d)? {
            Written::Names(names) => Ok(Self::Only(names)),
            Written::Word(word) if word == ALL => Ok(Self::All),
            Written::Word(word) => Err(serde::de::Error::custom(format!("`{word}` is neither `{ALL}` nor a list"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_a_word_and_an_empty_list_is_nothing() {
        let read = |text: &str| serde_json::from_str::<Reach<String>>(text);
        assert!(read("\"all\"").unwrap().contains(&"x".to_owned()));
        let none = read("[]").unwrap();
        assert!(none.is_empty() && !none.contains(&"x".to_owned()));
        for bad in ["null", "\"ALL\"", "\"\"", "\"x\"", "{}", "1", "[1]"] {
            assert!(read(bad).is_err(), "{bad} was taken");
        }
        for text in ["\"all\"", "[]", "[\"a\",\"b\"]"] {
            assert_eq!(serde_json::to_string(&read(text).unwrap()).unwrap(), text);
        }
    }

    #[test]
    fn all_is_not_within_a_list_however_long() {
        let list = Reach::only(["a", "b"]);
        assert!(list.is_within(&Reach::All) && list.is_within(&list) && Reach::<&str>::All.is_within(&Reach::All));
        assert!(!Reach::All.is_within(&list) && !list.is_within(&Reach::only(["a"])));
    }
}
