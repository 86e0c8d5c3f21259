//! The refresh token grant: an agent's token works for its key, a sign-on's for its client.

use purser_identity::client::GrantType;
use purser_identity::token::dpop::ProofError;
use purser_identity::token::{
    RefreshError, Refreshed, SIGN_ON_REFRESH, SignOnRefresh, SignOnRefreshError, SignOnRefreshed, sign_on_refresh, token_refresh,
};
use purser_provisioning::perform;
use purser_values::Secret;

use super::{Answer, PATH, attempt, demanded, key_of, permit};
use crate::front::Front;
use crate::oidc::error::OAuthError;
use crate::oidc::form::Form;
use crate::oidc::{client_auth, proof};

pub async fn answer(front: &Front, form: Form) -> Result<Answer, OAuthError> {
    let token = form.parameters.secret("refresh_token").filter(|_| !form.parameters.has("device_code"));
    let token =
        token.ok_or_else(|| OAuthError::invalid_request("send the `refresh_token` that the grant type is about, and nothing else"))?;
    if token.expose().starts_with(SIGN_ON_REFRESH) { of_sign_on(front, form, token).await } else { of_agent(front, form, token).await }
}

async fn of_agent(front: &Front, form: Form, refresh_token: Secret<String>) -> Result<Answer, OAuthError> {
    // An agent that came by a client may name it, and then it must prove it.
    let authenticated = client_auth::optional(front, &form.headers, &form.parameters, PATH).await?;
    if authenticated.as_ref().is_some_and(|a| !a.client.may(GrantType::RefreshToken)) {
        return Err(OAuthError::new("unauthorized_client", "the client is not registered for this grant type".to_owned()));
    }
    let proof = match proof::optional(front, &form.headers, PATH)? {
        Some(proof) => proof,
        // What a client without a proof shows here is no agent's token: it cannot have got one.
        None if authenticated.is_some() => return Err(RefreshError::InvalidGrant.into()),
        None => return Err(ProofError::Missing.into()),
    };
    let (realm, assertion) = (front.realm.clone(), authenticated.and_then(|a| a.assertion));
    let refreshed = perform(&front.core, attempt(proof.jkt()), move |tx| {
        if let Some(assertion) = &assertion {
            assertion.consume(tx).map_err(|_| RefreshError::InvalidGrant)?;
        }
        let permit = permit(&realm.env, proof.jkt()).map_err(|_| RefreshError::InvalidGrant)?;
        token_refresh(tx, &realm, permit, &refresh_token, &proof)
    });
    match refreshed.await? {
        Refreshed::Issued(tokens) => Ok(tokens.into()),
        Refreshed::Reused => Err(RefreshError::InvalidGrant.into()),
    }
}

async fn of_sign_on(front: &Front, form: Form, refresh_token: Secret<String>) -> Result<Answer, OAuthError> {
    let authenticated = client_auth::required(front, &form.headers, &form.parameters, PATH).await?;
    let proof = demanded(proof::optional(front, &form.headers, PATH)?, authenticated.client.metadata.dpop_bound_access_tokens)?;
    let (realm, client, key) = (front.realm.clone(), authenticated.client, key_of(proof.as_ref()));
    let scope = form.parameters.parsed("scope").map_err(|e| OAuthError::new("invalid_scope", e.to_string()))?;
    let given = SignOnRefresh { refresh_token, scope, proof, assertion: authenticated.assertion };
    let refreshed = perform(&front.core, attempt(client.id.as_str()), move |tx| {
        let permit = permit(&realm.env, &key).map_err(|_| SignOnRefreshError::InvalidGrant)?;
        sign_on_refresh(tx, &realm, permit, &client, &given)
    });
    match refreshed.await? {
        SignOnRefreshed::Issued(tokens) => Ok(tokens.into()),
        SignOnRefreshed::Reused => Err(SignOnRefreshError::InvalidGrant.into()),
    }
}
