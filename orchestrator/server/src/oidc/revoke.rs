//! `POST /oauth/revoke` (RFC 7009): a client, or the key that a token is bound to, ends a token. What is not theirs, or not there,
//! is answered the same way.

use axum::extract::State;
use http::StatusCode;
use purser_authority::action::TokenRevoke;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_identity::token::{Holder, TokenRevokeError, token_revoke};
use purser_provisioning::perform;

use super::error::OAuthError;
use super::form::Form;
use super::{client_auth, proof};
use crate::front::Front;

pub const PATH: &str = "/oauth/revoke";

pub async fn post(State(front): State<Front>, form: Form) -> Result<StatusCode, OAuthError> {
    let Form { headers, parameters } = form;
    let holder = match (client_auth::optional(&front, &headers, &parameters, PATH).await?, proof::optional(&front, &headers, PATH)?) {
        (Some(authenticated), _) => Holder::Client { client: authenticated.client, assertion: authenticated.assertion },
        (None, Some(proof)) => Holder::Key(proof),
        (None, None) => client_auth::required(&front, &headers, &parameters, PATH)
            .await
            .map(|authenticated| Holder::Client { client: authenticated.client, assertion: authenticated.assertion })?,
    };
    let token = parameters.secret("token").ok_or_else(|| OAuthError::invalid_request("`token` is missing"))?;
    let subject = match &holder {
        Holder::Client { client, .. } => client.id.to_string(),
        Holder::Key(proof) => proof.jkt().to_owned(),
    };
    let (realm, attempt) = (front.realm.clone(), Attempt::new("token_revoke", &Caller::Anonymous, subject.clone()));
    perform(&front.core, attempt, move |tx| {
        let permit = authorise::<TokenRevoke>(&Caller::Anonymous, &Facts::new(realm.env.now(), &subject))?;
        token_revoke(tx, &realm, permit, &holder, token.expose())
    })
    .await
    .map_err(|e: TokenRevokeError| OAuthError::from(e))?;
    Ok(StatusCode::OK)
}
