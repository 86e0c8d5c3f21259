//! The form that lets a workload in, as it was typed.

use std::collections::BTreeMap;

use purser_identity::workload::TrustFacts;
use purser_values::id::GrantId;
use purser_values::{Currency, Money};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// It is shown again when it cannot be taken.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Typed {
    pub grant: String,
    pub name: String,
    pub issuer: String,
    pub audience: String,
    pub subject: String,
    /// Lines of `name = value`.
    pub claims: String,
    /// Names with spaces between; empty for all that the grant allows.
    pub projects: String,
    /// In USD; empty for the grant's own.
    pub cap: String,
    pub minutes: String,
}

impl Typed {
    pub fn usual() -> Self {
        Self { audience: "purser".to_owned(), minutes: "10".to_owned(), ..Self::default() }
    }

    /// The grant and what is to be kept, or why it cannot be read.
    pub fn read(&self) -> Result<(GrantId, TrustFacts), String> {
        let grant = self.grant.parse().map_err(|_| "choose a grant within which they act")?;
        let minutes: i64 = self.minutes.trim().parse().map_err(|_| "write for how many minutes they act")?;
        let facts = TrustFacts {
            name: self.name.trim().parse().map_err(|e| format!("the name: {e}"))?,
            issuer: self.issuer.trim().to_owned(),
            audience: self.audience.trim().to_owned(),
            subject: self.subject.trim().parse().map_err(|e| format!("the subject: {e}"))?,
            claims: self.claims()?,
            details: self.details()?,
            life_s: minutes.saturating_mul(60),
        };
        Ok((grant, facts))
    }

    fn claims(&self) -> Result<BTreeMap<String, String>, String> {
        let mut claims = BTreeMap::new();
        for line in self.claims.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once('=').ok_or_else(|| format!("`{line}` is not `name = value`"))?;
            if claims.insert(name.trim().to_owned(), value.trim().to_owned()).is_some() {
                return Err(format!("the claim `{}` is there twice", name.trim()));
            }
        }
        Ok(claims)
    }

    /// As `authorization_details` (RFC 9396).
    fn details(&self) -> Result<String, String> {
        let mut details = Map::from_iter([("type".to_owned(), json!("purser_grant"))]);
        let projects: Vec<&str> = self.projects.split_ascii_whitespace().collect();
        if !projects.is_empty() {
            details.insert("projects".to_owned(), json!(projects));
        }
        if !self.cap.trim().is_empty() {
            let cap = Money::parse_decimal(self.cap.trim(), Currency::USD).map_err(|e| format!("the limit: {e}"))?;
            details.insert("cap_minor".to_owned(), json!(cap.minor()));
        }
        Ok(Value::Array(vec![Value::Object(details)]).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_lines_and_what_is_left_empty_narrows_nothing() {
        let mut typed = Typed { claims: " a = b=c \n\n repository_id=7".to_owned(), ..Typed::usual() };
        assert_eq!(
            typed.claims().unwrap(),
            BTreeMap::from([("a".to_owned(), "b=c".to_owned()), ("repository_id".to_owned(), "7".to_owned())])
        );
        assert_eq!(typed.details().unwrap(), r#"[{"type":"purser_grant"}]"#);
        for wrong in ["nonsense", "a=1\na=2"] {
            wrong.clone_into(&mut typed.claims);
            assert!(typed.claims().is_err(), "{wrong}");
        }
    }
}
