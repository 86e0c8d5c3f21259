//! Extension `manifest`: `GET {provider}/.well-known/agentic-provider.json`, who a provider is and how it is spoken to.
//!
//! Another provider has none of it: the operator then gives the base URL by hand. Nothing in a manifest widens what the
//! orchestrator trusts: it never names allowed origins, and terms are only what a person accepts by digest.

use purser_values::Sha256Digest;
use purser_values::name::ProviderName;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::credit::Programme;
use crate::open::open_enum;
use crate::plain;

/// The path of the document, below the provider's origin.
pub const PATH: &str = ".well-known/agentic-provider.json";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub name: ProviderName,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub display_name: String,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub description: String,
    /// `provisioning/<name>` is appended to it; ends in `/`.
    pub base_url: Url,
    pub token_url: Url,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub terms: Vec<TermsDocument>,
    /// The keys (JWK, Ed25519) that sign the provider's messages to the orchestrator.
    #[serde(default, deserialize_with = "plain::or_default")]
    pub keys: Vec<Value>,
    /// Which credentials an agent receives on which service, and by which API they work.
    #[serde(default, deserialize_with = "plain::or_default")]
    pub credential_routes: Vec<CredentialRoute>,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub extensions: Vec<Extension>,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub capabilities: Vec<String>,
    /// The programmes of credit that organisations can apply for.
    #[serde(default, deserialize_with = "plain::or_default", skip_serializing_if = "Vec::is_empty")]
    pub credit_programmes: Vec<Programme>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm_context: Option<Url>,
    /// The provider's own profile at Stripe: it takes shared payment tokens that are issued to it, and needs no charges through the
    /// orchestrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_profile: Option<String>,
}

/// Longest profile of a seller, in characters.
const PROFILE_CHARS: usize = 255;

/// One text that a person accepts before the provider may be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermsDocument {
    pub id: String,
    pub title: String,
    pub url: Url,
    pub version: String,
    /// Digest of the bytes at `url`.
    pub sha256: Sha256Digest,
}

/// Where a credential of the provider is used: an API of the provider's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialRoute {
    /// The API's kind, such as `cloudflare-v4`.
    pub kind: String,
    pub base_url: Url,
    /// The names in the access configuration that it needs.
    #[serde(default, deserialize_with = "plain::or_default")]
    pub credentials: Vec<String>,
}

open_enum! {
    /// An optional part of the language that the provider speaks.
    Extension {
        IdentityAssertion = "identity_assertion",
        Price = "price",
        Quotes = "quotes",
        /// Its quotes say between whom they are.
        QuoteParties = "quote_parties",
        Charges = "charges",
        Refunds = "refunds",
        UsageHolds = "usage_holds",
        Subscriptions = "subscriptions",
        Events = "events",
        Endpoints = "endpoints",
        AgentCredentials = "agent_credentials",
        AccountFreeze = "account_freeze",
        ControlOrder = "control_order",
        AccountLinking = "account_linking",
        SignatureV2 = "signature_v2",
        Credits = "credits",
    }
}

impl Manifest {
    /// The profile to which a shared payment token can be issued, for a provider that does not charge through the orchestrator.
    ///
    /// One that does both would have two ways to the same money, and gets the orchestrator's alone.
    #[must_use]
    pub fn sells_for_itself(&self) -> Option<&str> {
        let profile = self.stripe_profile.as_deref().filter(|_| !self.speaks(&Extension::Charges))?;
        let plain = profile.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (plain && profile.starts_with("profile_") && profile.len() <= PROFILE_CHARS).then_some(profile)
    }

    #[must_use]
    pub fn speaks(&self, extension: &Extension) -> bool {
        self.extensions.contains(extension)
    }
}
