//! What a run is told about the provider.

use std::sync::Arc;

use purser_crypto::jose::{Jwk, SigningKey};
use purser_values::{Env, Money, Secret};
use purser_wire::id::ServiceId;
use serde_json::{Map, Value};
use url::Url;

#[derive(Clone, Debug)]
pub struct Options {
    pub env: Env,
    /// The provider's base URL; `provisioning/…` is below it.
    pub base_url: Url,
    /// Where the token endpoint is. Otherwise from the manifest, otherwise `oauth/token` below the base URL.
    pub token_url: Option<Url>,
    /// The signing secret that the provider shares with this orchestrator.
    pub secret: Secret<String>,
    /// Signs `Stripe-Signature-V2` and identity assertions, for providers that demand them.
    pub attestor: Option<Attestor>,
    /// Provider-level `configuration` of account requests.
    pub account_configuration: Option<Map<String, Value>>,
    /// The free service to create and its configuration. Otherwise the first that the catalogue allows.
    pub service: Option<(ServiceId, Map<String, Value>)>,
    /// The paid service to refuse and to buy. Otherwise the first that the catalogue allows.
    pub paid_service: Option<(ServiceId, Map<String, Value>)>,
    /// Payment tokens that the provider can redeem; without them the payment checks are skipped.
    pub payment: Option<Arc<dyn Payment>>,
    /// The domain of the e-mail addresses that accounts are asked for.
    pub email_domain: String,
    /// An address that somebody has at the provider already: it must answer with a page for that person.
    pub known_email: Option<String>,
    /// Also run the check that waits five minutes.
    pub slow: bool,
    /// Longest `Retry-After` that is waited for, and longest time that `pending` may last, in seconds.
    pub patience_s: u64,
}

impl Options {
    #[must_use]
    pub fn new(env: Env, base_url: Url, secret: Secret<String>) -> Self {
        Self {
            env,
            base_url,
            token_url: None,
            secret,
            attestor: None,
            account_configuration: None,
            service: None,
            paid_service: None,
            payment: None,
            email_domain: "conformance.example".to_owned(),
            known_email: None,
            slow: false,
            patience_s: 30,
        }
    }
}

/// The tester's key as an orchestrator, which the provider must know.
#[derive(Clone, Debug)]
pub struct Attestor {
    pub key: SigningKey,
    pub issuer: Url,
}

/// Payment tokens that the provider under test redeems at an orchestrator that can be asked.
pub trait Payment: Send + Sync + std::fmt::Debug {
    /// A fresh token that pays.
    fn good_token(&self) -> Secret<String>;
    /// A fresh token whose charge is declined.
    fn declined_token(&self) -> Secret<String>;
    /// The most that a good token pays.
    fn max_amount(&self) -> Money;
    /// The keys of the provider's manifest, which sign its charges.
    fn trust(&self, keys: Vec<Jwk>);
    /// What has been captured through a token.
    fn captured(&self, token: &Secret<String>) -> Vec<Money>;
}
