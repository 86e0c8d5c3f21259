//! The device code of a registered client: answered as an authorization code of the same scope is.

use purser_identity::authorization::resource_of;
use purser_identity::token::{DevicePoll, DeviceSignOnError, DeviceUse, device_sign_on_poll, token_issue_by_device};
use purser_provisioning::perform;
use purser_values::Secret;

use super::{demanded as code_of, hold, wait};
use crate::front::Front;
use crate::oidc::error::OAuthError;
use crate::oidc::form::Form;
use crate::oidc::token::client_credentials::take;
use crate::oidc::token::{Answer, PATH, attempt, demanded, key_of, permit};
use crate::oidc::{client_auth, proof};

pub(super) async fn answer(front: &Front, form: Form, code: Option<Secret<String>>) -> Result<Answer, OAuthError> {
    let Form { headers, parameters } = form;
    let authenticated = client_auth::required(front, &headers, &parameters, PATH).await?;
    let client = authenticated.client;
    let proof = demanded(proof::optional(front, &headers, PATH)?, client.metadata.dpop_bound_access_tokens)?;
    let given = DeviceUse { device_code: code_of(code)?, resource: resource_of(&parameters, &front.resources())?, proof };
    let _held = hold(front, &given.device_code)?;
    take(front, authenticated.assertion, given.proof.clone()).await?;
    let poll = wait(front, || async {
        let (now, client, given) = (front.realm.env.now(), client.clone(), given.clone());
        Ok(front.core.db.read(move |tx| device_sign_on_poll(tx, now, &client, &given)).await?)
    });
    if poll.await? == DevicePoll::Pending {
        return Err(DeviceSignOnError::Pending.into());
    }
    let realm = front.realm.clone();
    let tokens = perform(&front.core, attempt(client.id.as_str()), move |tx| {
        let permit = permit(&realm.env, &key_of(given.proof.as_ref())).map_err(|_| DeviceSignOnError::InvalidGrant)?;
        token_issue_by_device(tx, &realm, permit, &client, &given)
    });
    Ok(tokens.await?.into())
}
