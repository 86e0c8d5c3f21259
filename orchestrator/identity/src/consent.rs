//! What a person must be shown before a decision, and what they saw.

use purser_values::Sha256Digest;
use purser_values::name::{EnvironmentName, ProjectName, ProviderName, ServiceName};
use serde::{Deserialize, Serialize};

/// Facts of other domains that the consent page shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsentFacts {
    /// The providers that were asked for. One that is missing here is unknown and cannot be granted.
    pub providers: Vec<ConsentProvider>,
    /// What would be charged, such as `Visa ending in 4242`; absent when there is no card yet.
    pub payment_method: Option<String>,
    /// What was asked for by name and is not there yet: it would be made.
    pub new_projects: Vec<ProjectName>,
    pub new_environments: Vec<EnvironmentName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentProvider {
    pub name: ProviderName,
    pub display: String,
    /// What cannot be undone once it is bought there, by name.
    pub irreversible: Vec<ServiceName>,
    /// Its terms documents in force, whose bytes are kept.
    pub terms: Vec<TermsSeen>,
}

/// One terms document as it was shown to the person who accepted it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TermsSeen {
    pub provider: ProviderName,
    pub title: String,
    pub url: String,
    pub version: String,
    pub sha256: Sha256Digest,
}
