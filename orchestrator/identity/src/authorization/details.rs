//! `authorization_details` (RFC 9396): the grant request as a typed object.
//!
//! ```json
//! [{"type": "purser_grant", "projects": ["shop"], "providers": ["slipway"], "cap_minor": 10000}]
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Refusal;

/// The one type that is known here.
pub const GRANT_TYPE: &str = "purser_grant";

/// What an agent asks for, as it comes; names are not yet parsed. Unknown members are refused: what is not understood cannot be
/// decided on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantDetails {
    #[serde(rename = "type")]
    pub kind: String,
    /// The name that the agent claims; the client's, if it claims none.
    pub name: Option<String>,
    /// Names; `*` alone means all where that can be granted. An empty list is none, and not all.
    pub projects: Option<Vec<String>>,
    pub environments: Option<Vec<String>>,
    pub providers: Option<Vec<String>>,
    pub services: Option<Vec<String>>,
    pub actions: Option<Vec<String>>,
    /// Per provider and month, for some providers another, and over the grant's life.
    pub cap_minor: Option<i64>,
    #[serde(default)]
    pub caps_minor: BTreeMap<String, i64>,
    pub total_minor: Option<i64>,
    #[serde(default)]
    pub export: bool,
    #[serde(default)]
    pub irreversible: bool,
    /// Whether it may let helpers of its own act, within what it may do itself.
    #[serde(default)]
    pub delegate: bool,
    /// Seconds from the acceptance to the end of the grant.
    pub expires_in: Option<i64>,
}

/// Reads the parameter: exactly one object, of our type.
///
/// # Errors
/// `invalid_authorization_details`.
pub fn read(text: &str) -> Result<GrantDetails, Refusal> {
    let wrong = |why: String| Refusal::new("invalid_authorization_details", why);
    let mut details: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|_| wrong("it is not a JSON array".to_owned()))?;
    let (Some(one), true) = (details.pop(), details.is_empty()) else {
        return Err(wrong("one object is expected".to_owned()));
    };
    if one["type"] != GRANT_TYPE {
        return Err(wrong(format!("the only type that is known here is `{GRANT_TYPE}`")));
    }
    serde_json::from_value(one).map_err(|e| wrong(format!("the object is not a `{GRANT_TYPE}`: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_grant_is_read_and_whatever_is_not_understood_is_refused() {
        let read_grant = read(r#"[{"type":"purser_grant","projects":["shop"],"cap_minor":500}]"#).unwrap();
        assert_eq!((read_grant.projects, read_grant.cap_minor, read_grant.export), (Some(vec!["shop".to_owned()]), Some(500), false));
        for bad in [
            "",
            "{}",
            "[]",
            "[1]",
            r#"[{"type":"payment"}]"#,
            r#"[{"projects":["shop"]}]"#,
            r#"[{"type":"purser_grant","root":true}]"#,
            r#"[{"type":"purser_grant","projects":"shop"}]"#,
            r#"[{"type":"purser_grant"},{"type":"purser_grant"}]"#,
        ] {
            assert_eq!(read(bad).unwrap_err().error, "invalid_authorization_details", "{bad}");
        }
    }
}
