//! What happened, as the audit log keeps it.

use serde::{Deserialize, Serialize};

use purser_values::id::OrganisationId;

use crate::caller::Caller;

/// How an act ended, or that it is about to begin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// About to be tried; written before an irreversible or remote act.
    Intended,
    Done,
    /// Refused, with the public code of the refusal.
    Refused(String),
    /// Tried and failed at somebody else's side.
    Failed(String),
}

/// One entry of the audit log, before the log gives it a number and a place in the chain.
///
/// It must hold no secret: digests, public prefixes and ids only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `noun_verb`, the action's name.
    pub verb: String,
    pub outcome: Outcome,
    pub caller: Caller,
    /// Whose log it belongs to; the caller's organisation unless said otherwise.
    pub organisation: Option<OrganisationId>,
    /// The id (or URL, domain, digest) that the act was about.
    pub subject: String,
    /// Further ids that a trace must find this entry by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<String>,
    /// Facts: amounts, digests, names.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub data: serde_json::Value,
}

impl Event {
    #[must_use]
    pub fn new(verb: &str, outcome: Outcome, caller: &Caller, subject: impl Into<String>) -> Self {
        Self {
            verb: verb.to_owned(),
            outcome,
            caller: caller.clone(),
            organisation: caller.organisation().cloned(),
            subject: subject.into(),
            related: Vec::new(),
            data: serde_json::Value::Null,
        }
    }

    #[must_use]
    pub fn done(verb: &str, caller: &Caller, subject: impl Into<String>) -> Self {
        Self::new(verb, Outcome::Done, caller, subject)
    }

    #[must_use]
    pub fn with(mut self, data: serde_json::Value) -> Self {
        self.data = data;
        self
    }

    #[must_use]
    pub fn related(mut self, ids: impl IntoIterator<Item = impl ToString>) -> Self {
        self.related.extend(ids.into_iter().map(|id| id.to_string()));
        self
    }

    /// For callers without an organisation of their own (providers, the system).
    #[must_use]
    pub fn in_organisation(mut self, organisation: &OrganisationId) -> Self {
        self.organisation = Some(organisation.clone());
        self
    }
}
