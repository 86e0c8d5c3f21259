//! The device code grant (RFC 8628, 3.4), held open until a person decides.

use std::time::Duration;

use purser_crypto::token;
use purser_identity::token::{DevicePoll, TokenIssueError, device_poll, token_issue};
use purser_provisioning::perform;
use purser_values::limits::DEVICE_POLL_HOLD_S;
use tokio::time::{Instant, timeout_at};

use super::{Answer, PATH, attempt, permit};
use crate::front::Front;
use crate::oidc::error::OAuthError;
use crate::oidc::form::Form;
use crate::oidc::proof;

/// A decision made at another node rings no bell here, so a held poll also looks by itself this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub async fn answer(front: &Front, form: Form) -> Result<Answer, OAuthError> {
    let proof = proof::of(front, &form.headers, PATH)?;
    let code = form.parameters.secret("device_code").filter(|_| !form.parameters.has("refresh_token"));
    let code = code.ok_or_else(|| OAuthError::invalid_request("send the `device_code` that the grant type is about, and nothing else"))?;
    let Some(_held) = front.decisions.hold(token::hash(code.expose())) else {
        return Err(OAuthError::new("slow_down", "a poll with this device code is held open already".to_owned()));
    };
    // Subscribed before the first look, so that no decision falls between the two.
    let mut decided = front.decisions.listen();
    let take = proof.clone();
    front.core.db.write(move |tx| take.consume(tx)).await?;
    let until = Instant::now() + Duration::from_secs(DEVICE_POLL_HOLD_S);
    loop {
        let (now, look_code, look_proof) = (front.realm.env.now(), code.clone(), proof.clone());
        let poll = front.core.db.read(move |tx| device_poll(tx, now, &look_code, &look_proof)).await?;
        if poll == DevicePoll::Decided {
            break;
        }
        if Instant::now() >= until {
            return Err(TokenIssueError::Pending.into());
        }
        let _ = timeout_at(until.min(Instant::now() + LOOK_AGAIN), decided.changed()).await;
    }
    let realm = front.realm.clone();
    let tokens = perform(&front.core, attempt(proof.jkt()), move |tx| {
        let permit = permit(&realm.env, proof.jkt()).map_err(|_| TokenIssueError::InvalidGrant)?;
        token_issue(tx, &realm, permit, &code, &proof)
    });
    Ok(tokens.await?.into())
}
