//! Extension `credits`: `GET` and `POST provisioning/credits`.

use axum::extract::{Request, State};
use http::StatusCode;
use purser_values::{Sha256Digest, Timestamp};
use purser_wire::credit::{CreditAttestation, RedeemCredit};
use purser_wire::error::{Envelope, code};

use super::{Handled, Sdk, Shared, resources, to_the_end};
use crate::error::ProviderError;
use crate::keys::KeyError;
use crate::provider::Provider;
use crate::reply::{InEnvelope as _, json};
use crate::store::Store;

const ENVELOPE: Envelope = Envelope::Status;

pub async fn list<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, _) = resources::enter(&sdk, request).await?;
    let credits = sdk.provider.credits(&call).await.envelope(ENVELOPE)?;
    Ok(json(StatusCode::OK, &credits))
}

pub async fn redeem<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, received) = resources::enter(&sdk, request).await?;
    let body: RedeemCredit = resources::read(&received).envelope(ENVELOPE)?;
    to_the_end(ENVELOPE, async move {
        let attested = sdk.attested(&body, call.at).await.envelope(ENVELOPE)?;
        let credits = sdk.provider.credit_redeem(&call, attested).await.envelope(ENVELOPE)?;
        Ok(json(StatusCode::OK, &credits))
    })
    .await
}

impl<P: Provider, S: Store> Sdk<P, S> {
    /// What the orchestrator attests. It is used up with this: a repeat brings a fresh one.
    async fn attested(&self, body: &RedeemCredit, now: Timestamp) -> Result<CreditAttestation, ProviderError> {
        let refused = |message: &str| ProviderError::new(StatusCode::BAD_REQUEST, code::INVALID_ATTESTATION, message);
        let Some(keys) = &self.config.orchestrator else {
            return Err(refused("this provider knows no key to check an attestation with"));
        };
        let token = body.attestation.expose();
        let (kid, issuer) = CreditAttestation::claimed(token).ok_or_else(|| refused("the attestation is malformed"))?;
        let key = keys.find(&kid.unwrap_or_default(), now).await.map_err(|e| match e {
            KeyError::Unknown => refused("the attestation is signed with an unknown key"),
            KeyError::Unavailable(_) => ProviderError::unavailable("the orchestrator's keys cannot be fetched now", 1),
        })?;
        let claims = CreditAttestation::verify(token, &key, self.base_url.as_str(), now).map_err(|e| refused(&e.to_string()))?;
        let nonce = Sha256Digest::of_parts(&[b"credit\0", issuer.as_bytes(), b"\0", claims.jti.as_bytes()]);
        if !self.store.nonce_use(nonce, Timestamp::from_secs(claims.exp).plus_secs(60), now).await? {
            return Err(refused("this attestation was already used"));
        }
        Ok(claims)
    }
}
