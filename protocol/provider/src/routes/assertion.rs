//! Checks what the orchestrator attests about a person.

use http::StatusCode;
use purser_values::{Sha256Digest, Timestamp};
use purser_wire::account::AccountRequest;
use purser_wire::assertion::IdentityAssertion;
use purser_wire::error::code;

use super::Sdk;
use crate::call::Identity;
use crate::error::ProviderError;
use crate::keys::KeyError;
use crate::provider::Provider;
use crate::store::Store;

impl<P: Provider, S: Store> Sdk<P, S> {
    /// The attested identity, when the request carries an assertion. One that is not good in every respect is refused, not ignored.
    pub async fn identity(&self, request: &AccountRequest, now: Timestamp) -> Result<Option<Identity>, ProviderError> {
        let refused = |message: &str| ProviderError::new(StatusCode::BAD_REQUEST, code::INVALID_ASSERTION, message);
        let Some(token) = &request.identity_assertion else {
            let missing = refused("this provider needs an `identity_assertion`");
            return if self.config.require_assertion { Err(missing) } else { Ok(None) };
        };
        let Some(keys) = &self.config.orchestrator else {
            return Err(refused("this provider knows no key to check an `identity_assertion` with"));
        };
        let (kid, issuer) = IdentityAssertion::claimed(token.expose()).ok_or_else(|| refused("the assertion is malformed"))?;
        let key = keys.find(&kid.unwrap_or_default(), now).await.map_err(|e| match e {
            KeyError::Unknown => refused("the assertion is signed with an unknown key"),
            KeyError::Unavailable(_) => ProviderError::unavailable("the orchestrator's keys cannot be fetched now", 1),
        })?;
        let claims = IdentityAssertion::verify(token.expose(), &key, self.base_url.as_str(), now).map_err(|e| refused(&e.to_string()))?;
        if claims.email != request.email {
            return Err(refused("the assertion is about another e-mail address"));
        }
        let accepted = |digest: &Sha256Digest| claims.terms.contains(digest);
        if !self.provider.manifest().terms.iter().all(|document| accepted(&document.sha256)) {
            let message = "the person has not accepted every current terms document of the manifest";
            return Err(ProviderError::new(StatusCode::BAD_REQUEST, code::TERMS_NOT_ACCEPTED, message));
        }
        let nonce = Sha256Digest::of_parts(&[b"assertion\0", issuer.as_bytes(), b"\0", claims.jti.as_bytes()]);
        if !self.store.nonce_use(nonce, Timestamp::from_secs(claims.exp).plus_secs(60), now).await? {
            return Err(refused("this assertion was already used"));
        }
        Ok(Some(Identity {
            issuer: claims.iss,
            key: key.thumbprint(),
            subject: claims.sub,
            email: claims.email,
            terms: claims.terms,
            agent_jkt: claims.agent_jkt,
        }))
    }
}
