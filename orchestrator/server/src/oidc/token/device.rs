//! The device code grant (RFC 8628, 3.4), held open until a person decides: for an agent or a terminal by its key, for a registered
//! client by its authentication.

mod sign_on;

use std::time::Duration;

use purser_crypto::token;
use purser_identity::token::{DevicePoll, DeviceUse, TokenIssueError, device_poll, token_issue};
use purser_provisioning::perform;
use purser_values::Secret;
use purser_values::limits::DEVICE_POLL_HOLD_S;
use tokio::time::{Instant, timeout_at};

use super::{Answer, PATH, attempt, permit};
use crate::front::Front;
use crate::oidc::decisions::Held;
use crate::oidc::error::OAuthError;
use crate::oidc::form::Form;
use crate::oidc::{client_auth, proof};

/// A decision made at another node rings no bell here, so a held poll also looks by itself this often.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

pub async fn answer(front: &Front, form: Form) -> Result<Answer, OAuthError> {
    let code = form.parameters.secret("device_code").filter(|_| !form.parameters.has("refresh_token"));
    let of_client = code.as_ref().is_some_and(DeviceUse::is_of_client);
    if of_client || client_auth::is_named(&form.headers, &form.parameters) {
        sign_on::answer(front, form, code).await
    } else {
        of_agent(front, form, code).await
    }
}

async fn of_agent(front: &Front, form: Form, code: Option<Secret<String>>) -> Result<Answer, OAuthError> {
    let proof = proof::of(front, &form.headers, PATH)?;
    let code = demanded(code)?;
    let _held = hold(front, &code)?;
    let take = proof.clone();
    front.core.db.write(move |tx| take.consume(tx)).await?;
    let poll = wait(front, || async {
        let (now, look_code, look_proof) = (front.realm.env.now(), code.clone(), proof.clone());
        Ok(front.core.db.read(move |tx| device_poll(tx, now, &look_code, &look_proof)).await?)
    });
    if poll.await? == DevicePoll::Pending {
        return Err(TokenIssueError::Pending.into());
    }
    let realm = front.realm.clone();
    let tokens = perform(&front.core, attempt(proof.jkt()), move |tx| {
        let permit = permit(&realm.env, proof.jkt()).map_err(|_| TokenIssueError::InvalidGrant)?;
        token_issue(tx, &realm, permit, &code, &proof)
    });
    Ok(tokens.await?.into())
}

fn demanded(code: Option<Secret<String>>) -> Result<Secret<String>, OAuthError> {
    code.ok_or_else(|| OAuthError::invalid_request("send the `device_code` that the grant type is about, and nothing else"))
}

fn hold(front: &Front, code: &Secret<String>) -> Result<Held, OAuthError> {
    let held = front.decisions.hold(token::hash(code.expose()));
    held.ok_or_else(|| OAuthError::new("slow_down", "a poll with this device code is held open already".to_owned()))
}

/// Looks until there is a decision, or for as long as a poll is held.
async fn wait<F>(front: &Front, look: impl Fn() -> F) -> Result<DevicePoll, OAuthError>
where
    F: Future<Output = Result<DevicePoll, OAuthError>>,
{
    // Subscribed before the first look, so that no decision falls between the two.
    let mut decided = front.decisions.listen();
    let until = Instant::now() + Duration::from_secs(DEVICE_POLL_HOLD_S);
    loop {
        let poll = look().await?;
        if poll == DevicePoll::Decided || Instant::now() >= until {
            return Ok(poll);
        }
        let _ = timeout_at(until.min(Instant::now() + LOOK_AGAIN), decided.changed()).await;
    }
}
