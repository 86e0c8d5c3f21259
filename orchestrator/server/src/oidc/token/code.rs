//! The authorization code grant (RFC 6749, 4.1.3).

use purser_identity::authorization::resource_of;
use purser_identity::token::{CodeError, CodeUse, CodeUsed, token_issue_by_code};
use purser_provisioning::perform;

use super::{Answer, PATH, attempt, key_of, permit};
use crate::front::Front;
use crate::oidc::error::OAuthError;
use crate::oidc::form::Form;
use crate::oidc::{client_auth, proof};

pub async fn answer(front: &Front, form: Form) -> Result<Answer, OAuthError> {
    let Form { headers, parameters } = form;
    let authenticated = client_auth::required(front, &headers, &parameters, PATH).await?;
    let missing = |name: &str| OAuthError::invalid_request(format!("`{name}` is missing"));
    let given = CodeUse {
        code: parameters.secret("code").ok_or_else(|| missing("code"))?,
        redirect_uri: parameters.get("redirect_uri").ok_or_else(|| missing("redirect_uri"))?.to_owned(),
        verifier: parameters.secret("code_verifier").ok_or_else(|| missing("code_verifier"))?,
        resource: resource_of(&parameters, &front.resources())?,
        proof: proof::optional(front, &headers, PATH)?,
        assertion: authenticated.assertion,
    };
    let (realm, client) = (front.realm.clone(), authenticated.client);
    let used = perform(&front.core, attempt(client.id.as_str()), move |tx| {
        let permit = permit(&realm.env, &key_of(given.proof.as_ref())).map_err(|_| CodeError::InvalidGrant)?;
        token_issue_by_code(tx, &realm, permit, &client, &given)
    });
    match used.await? {
        CodeUsed::SignOn(tokens) => Ok(tokens.into()),
        CodeUsed::Grant(tokens) => Ok(tokens.into()),
        CodeUsed::Replayed => Err(CodeError::InvalidGrant.into()),
    }
}
