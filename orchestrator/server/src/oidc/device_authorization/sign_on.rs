//! A registered client asks that a person sign on with it, from a device without a browser.

use purser_authority::action::AuthorizationRequest;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_identity::authorization::device::{DeviceAsked, DeviceStart, device_sign_on_start};
use purser_identity::parameters::Parameters;
use purser_identity::token::dpop::Proof;
use purser_provisioning::perform;

use super::{Answer, answer};
use crate::front::Front;
use crate::oidc::client_auth::Authenticated;
use crate::oidc::error::OAuthError;

/// With a proof the device code works for its key only.
pub(super) async fn start(
    front: &Front,
    peer: String,
    parameters: &Parameters,
    authenticated: Authenticated,
    proof: Option<Proof>,
) -> Result<Answer, OAuthError> {
    let Authenticated { client, assertion } = authenticated;
    let dpop_jkt = proof.as_ref().map(|proof| proof.jkt().to_owned());
    let asked = DeviceAsked::read(parameters, &client, dpop_jkt, &front.resources())?;
    let (realm, start) = (front.realm.clone(), DeviceStart { asked, peer, proof, assertion });
    let attempt = Attempt::new("authorization_request", &Caller::Anonymous, client.id.as_str());
    let started = perform(&front.core, attempt, move |tx| {
        let permit = authorise::<AuthorizationRequest>(&Caller::Anonymous, &Facts::new(realm.env.now(), client.id.as_str()))?;
        device_sign_on_start(tx, &realm, permit, &start)
    })
    .await?;
    Ok(answer(front, &started.device_code, &started.user_code, started.expires_at))
}
