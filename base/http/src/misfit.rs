//! Why a body or a query is not what a call takes, in the words of the API: which member, what it takes, what came.
//!
//! The parser speaks of types of the program ("untagged enum", "u64", "at line 1 column 2"). Here its findings become a JSON pointer
//! (RFC 6901) and a sentence. What was sent is never repeated, since it may be a secret in the wrong place: only its sort is named. The
//! one exception are the words of our own values ("`x` is no project name"), which [`Misfit::silent`] leaves out.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use serde_path_to_error::{Path, Segment};

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// JSON pointer; empty for the whole. In a query, the parameter's name behind the slash.
    pub pointer: String,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Not JSON at all, and where reading stopped.
    Syntax {
        line: usize,
        column: usize,
    },
    Missing,
    /// There is no such member; these there are.
    Unknown {
        known: Vec<String>,
    },
    /// One of these words, and another came.
    Choice {
        known: Vec<String>,
    },
    Twice,
    Sort {
        expected: String,
        came: &'static str,
    },
    /// In none of the forms that are taken there.
    Form,
    /// What one of our own values says of it, input included.
    Said(String),
}

impl Misfit {
    /// Without any word of what was sent.
    #[must_use]
    pub fn silent(mut self) -> Self {
        if matches!(self.why, Why::Said(_)) {
            self.why = Why::Form;
        }
        self
    }

    /// As a member of a problem document's `errors`.
    #[must_use]
    pub fn member(&self) -> Value {
        json!({ "pointer": self.pointer, "detail": self.why.to_string() })
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.pointer, &self.why) {
            (at, why) if at.is_empty() => write!(f, "the body: {why}"),
            (at, why) => write!(f, "`{at}`: {why}"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |names: &[String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match self {
            Self::Syntax { line: 1, column: 0 } => f.write_str("it is empty, and JSON is taken"),
            Self::Syntax { line, column } => write!(f, "it is no JSON from line {line}, column {column} on"),
            Self::Missing => f.write_str("it is missing"),
            Self::Unknown { known } if known.is_empty() => f.write_str("there is no such member"),
            Self::Unknown { known } => write!(f, "there is no such member; there are {}", listed(known)),
            Self::Choice { known } => write!(f, "it takes one of {}", listed(known)),
            Self::Twice => f.write_str("it is there more than once"),
            Self::Sort { expected, came } => write!(f, "it takes {expected}, and {came} came"),
            Self::Form => f.write_str("it has none of the forms that are taken there"),
            Self::Said(words) => f.write_str(words),
        }
    }
}

/// Reads JSON.
///
/// # Errors
/// The first thing that does not fit.
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Misfit> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read: Result<T, _> = serde_path_to_error::deserialize(&mut reader);
    let value = read.map_err(|e| {
        let inner = e.inner();
        match inner.classify() {
            serde_json::error::Category::Data => misfit(e.path(), &inner.to_string()),
            _ => syntax(inner),
        }
    })?;
    reader.end().map_err(|e| syntax(&e))?;
    Ok(value)
}

/// Reads JSON that was read already.
///
/// # Errors
/// The first thing that does not fit.
pub fn value<T: DeserializeOwned>(value: Value) -> Result<T, Misfit> {
    serde_path_to_error::deserialize(value).map_err(|e| misfit(e.path(), &e.inner().to_string()))
}

/// Reads a form or the parameters of a query.
///
/// # Errors
/// The first thing that does not fit.
pub fn urlencoded<T: DeserializeOwned>(text: &[u8]) -> Result<T, Misfit> {
    let pairs = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(text));
    serde_path_to_error::deserialize(pairs).map_err(|e| misfit(e.path(), &e.inner().to_string()))
}

fn syntax(e: &serde_json::Error) -> Misfit {
    Misfit { pointer: String::new(), why: Why::Syntax { line: e.line(), column: e.column() } }
}

fn misfit(path: &Path, said: &str) -> Misfit {
    let said = said.rfind(" at line ").map_or(said, |end| &said[..end]);
    let mut pointer = pointer(path);
    let quoted = said.split('`').nth(1).unwrap_or_default();
    let known =
        || said.split_once("expected").map_or_else(Vec::new, |(_, names)| names.split('`').skip(1).step_by(2).map(str::to_owned).collect());
    let mut at_member = |why: Why| {
        let member = format!("/{}", quoted.replace('~', "~0").replace('/', "~1"));
        // the path names a member that is there and wrong, and stops above one that is not
        if !pointer.ends_with(&member) {
            pointer.push_str(&member);
        }
        Misfit { pointer: std::mem::take(&mut pointer), why }
    };
    let why = if said.starts_with("missing field") {
        return at_member(Why::Missing);
    } else if said.starts_with("unknown field") {
        return at_member(Why::Unknown { known: known() });
    } else if said.starts_with("duplicate field") {
        return at_member(Why::Twice);
    } else if said.starts_with("unknown variant") {
        Why::Choice { known: known() }
    } else if said.starts_with("data did not match any variant") {
        Why::Form
    } else if said.contains("invalid digit found in string") || said.starts_with("cannot parse integer") || said.starts_with("number too") {
        Why::Sort { expected: "a whole number in its range".to_owned(), came: "something else" }
    } else if said.starts_with("provided string was not `true` or `false`") {
        Why::Sort { expected: "`true` or `false`".to_owned(), came: "something else" }
    } else if let Some((came, expected)) = sorts(said) {
        let expected = sort_expected(expected);
        // a list for an object is read member by member, until there are too few
        let came = if expected == "an object" && came.starts_with("length") { "a list" } else { sort_came(came) };
        Why::Sort { expected, came }
    } else {
        Why::Said(said.to_owned())
    };
    Misfit { pointer, why }
}

/// `invalid type: string "x", expected u64`, `invalid value: …`, `invalid length …`: what came, and what is expected.
fn sorts(said: &str) -> Option<(&str, &str)> {
    let rest =
        said.strip_prefix("invalid type: ").or_else(|| said.strip_prefix("invalid value: ")).or_else(|| said.strip_prefix("invalid "))?;
    // the last one: what came may hold the word
    let at = rest.rfind(", expected ")?;
    Some((&rest[..at], &rest[at + ", expected ".len()..]))
}

fn sort_expected(words: &str) -> String {
    let integer =
        |word: &str| matches!(word, "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize");
    match words {
        word if integer(word) => "a whole number in its range".to_owned(),
        word if word.starts_with("a nonzero") => "a whole number above zero".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" | "a borrowed string" | "string" => "a text".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "unit" | "null" => "nothing".to_owned(),
        // names of the program's own types mean nothing outside of it
        word if word.starts_with("struct ") || word.starts_with("internally tagged enum") || word.starts_with("adjacently tagged enum") => {
            "an object".to_owned()
        }
        word if word.starts_with("tuple") || word.starts_with("an array") => "a list of its length".to_owned(),
        word if word.contains("enum") || word.contains("variant") || word.contains("string or map") => "one of its forms".to_owned(),
        other => other.to_owned(),
    }
}

fn sort_came(words: &str) -> &'static str {
    match words.split([' ', '`']).next().unwrap_or_default() {
        "string" | "character" => "a text",
        "integer" => "a whole number",
        "floating" => "a number with a fraction",
        "boolean" => "`true` or `false`",
        "map" => "an object",
        "sequence" => "a list",
        "null" | "unit" | "Option" => "nothing (`null`)",
        "length" => "another number of items",
        _ => "something else",
    }
}

fn pointer(path: &Path) -> String {
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(format!("/{index}")),
        Segment::Map { key } => Some(format!("/{}", key.replace('~', "~0").replace('/', "~1"))),
        // the name of a form, which is no member; and a place that the parser lost
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)] // read to be refused
    struct Order {
        amount_minor: u64,
        lines: Vec<Line>,
        #[serde(default)]
        way: Option<Way>,
        #[serde(default)]
        either: Option<Either>,
        #[serde(default)]
        day: Option<Day>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Line {
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Way {
        Card,
        Credit,
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[allow(dead_code)]
    enum Either {
        Number(u64),
        Flag(bool),
    }

    #[derive(Debug, Deserialize)]
    #[serde(try_from = "String")]
    struct Day;

    impl TryFrom<String> for Day {
        type Error = String;
        fn try_from(text: String) -> Result<Self, String> {
            Err(format!("`{text}` is no day"))
        }
    }

    fn refused(body: &str) -> (String, String) {
        let misfit = json::<Order>(body.as_bytes()).unwrap_err();
        (misfit.pointer.clone(), misfit.why.to_string())
    }

    #[test]
    fn each_wrong_body_names_its_member_and_no_type_of_the_program() {
        for (body, pointer, detail) in [
            (r#"{"lines":[]}"#, "/amount_minor", "it is missing"),
            (r#"{"amount_minor":1,"lines":[{"name":"a"},{}]}"#, "/lines/1/name", "it is missing"),
            (r#"{"amount_minor":"1","lines":[]}"#, "/amount_minor", "it takes a whole number in its range, and a text came"),
            (r#"{"amount_minor":-1,"lines":[]}"#, "/amount_minor", "it takes a whole number in its range, and a whole number came"),
            (
                r#"{"amount_minor":1.5,"lines":[]}"#,
                "/amount_minor",
                "it takes a whole number in its range, and a number with a fraction came",
            ),
            (r#"{"amount_minor":1,"lines":{}}"#, "/lines", "it takes a list, and an object came"),
            (r#"{"amount_minor":1,"lines":[7]}"#, "/lines/0", "it takes an object, and a whole number came"),
            (r#"{"amount_minor":1,"lines":[{"name":null}]}"#, "/lines/0/name", "it takes a text, and nothing (`null`) came"),
            (
                r#"{"amount_minor":1,"lines":[],"wai":1}"#,
                "/wai",
                "there is no such member; there are `amount_minor`, `lines`, `way`, `either`, `day`",
            ),
            (r#"{"amount_minor":1,"amount_minor":1,"lines":[]}"#, "/amount_minor", "it is there more than once"),
            (r#"{"amount_minor":1,"lines":[],"way":"gold"}"#, "/way", "it takes one of `card`, `credit`"),
            (r#"{"amount_minor":1,"lines":[],"either":"x"}"#, "/either", "it has none of the forms that are taken there"),
            (r#"{"amount_minor":1,"lines":[],"day":"never"}"#, "/day", "`never` is no day"),
            ("[]", "", "it takes an object, and a list came"),
            ("{", "", "it is no JSON from line 1, column 1 on"),
            ("", "", "it is empty, and JSON is taken"),
        ] {
            assert_eq!(refused(body), (pointer.to_owned(), detail.to_owned()), "{body}");
        }
        assert!(matches!(json::<Order>(br#"{"amount_minor":1,"lines":[]} x"#).unwrap_err().why, Why::Syntax { .. }));
    }

    #[test]
    fn what_was_sent_is_left_out_where_it_may_be_a_secret() {
        let misfit = json::<Order>(br#"{"amount_minor":1,"lines":[],"day":"s3cret"}"#).unwrap_err().silent();
        assert!(!misfit.to_string().contains("s3cret"), "{misfit}");
        let misfit = json::<Order>(br#"{"amount_minor":"s3cret, expected u64","lines":[]}"#).unwrap_err();
        assert!(!misfit.to_string().contains("s3cret"), "{misfit}");
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Wait {
        wait: u64,
        #[serde(default)]
        all: bool,
    }

    #[test]
    fn parameters_are_named_as_well() {
        for (query, pointer, detail) in [
            ("wait=soon", "/wait", "it takes a whole number in its range, and something else came"),
            ("all=true", "/wait", "it is missing"),
            ("wait=1&all=maybe", "/all", "it takes `true` or `false`, and something else came"),
            ("wait=1&wait=2", "/wait", "it is there more than once"),
        ] {
            let misfit = urlencoded::<Wait>(query.as_bytes()).unwrap_err();
            assert_eq!((misfit.pointer.as_str(), misfit.why.to_string().as_str()), (pointer, detail), "{query}");
        }
    }
}
