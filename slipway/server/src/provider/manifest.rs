//! The manifest: who we are and which parts of the language we speak.

use purser_crypto::jose::Jwk;
use purser_wire::manifest::{CredentialRoute, Extension, Manifest};
use serde_json::json;
use slipway_billing::credit::programme::Offer;
use url::Url;

use crate::pages::terms::Terms;

/// The names of the values that `workers` gives, as clients of the Cloudflare API read them from their environment.
pub const API_TOKEN: &str = "CLOUDFLARE_API_TOKEN";
pub const ACCOUNT_ID: &str = "CLOUDFLARE_ACCOUNT_ID";
pub const API_BASE_URL: &str = "CLOUDFLARE_API_BASE_URL";

/// Our name as a provider.
const NAME: &str = "slipway";

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error(transparent)]
    Url(#[from] url::ParseError),
    #[error(transparent)]
    Name(#[from] purser_values::name::ParseNameError),
}

/// # Errors
/// When the public address cannot carry a path.
pub fn manifest(public_url: &Url, key: &Jwk, terms: &Terms, offers: &[Offer]) -> Result<Manifest, ManifestError> {
    Ok(Manifest {
        name: NAME.parse()?,
        display_name: "slipway".to_owned(),
        description: "Runs Workers and static sites, registers domains, and answers for them.".to_owned(),
        base_url: public_url.clone(),
        token_url: public_url.join("oauth/token")?,
        terms: vec![terms.0.clone()],
        keys: vec![json!(key)],
        credential_routes: vec![CredentialRoute {
            kind: "cloudflare-v4".to_owned(),
            base_url: api_url(public_url)?,
            credentials: [API_TOKEN, ACCOUNT_ID, API_BASE_URL].map(str::to_owned).to_vec(),
        }],
        extensions: [
            Extension::IdentityAssertion,
            Extension::Price,
            Extension::Quotes,
            Extension::QuoteParties,
            Extension::Charges,
            Extension::Refunds,
            Extension::UsageHolds,
            Extension::Subscriptions,
            Extension::Events,
            Extension::Endpoints,
            Extension::AgentCredentials,
            Extension::AccountFreeze,
            Extension::ControlOrder,
            Extension::AccountLinking,
            Extension::SignatureV2,
        ]
        .into_iter()
        .chain((!offers.is_empty()).then_some(Extension::Credits))
        .collect(),
        capabilities: vec!["resources:deprovision".to_owned()],
        credit_programmes: offers.iter().map(|offer| offer.programme.clone()).collect(),
        llm_context: None,
        stripe_profile: None,
    })
}

/// The base address of the Cloudflare-compatible API, without a slash at the end, as its clients want it.
///
/// # Errors
/// When the public address cannot carry a path.
pub fn api_url(public_url: &Url) -> Result<Url, url::ParseError> {
    public_url.join("client/v4")
}
