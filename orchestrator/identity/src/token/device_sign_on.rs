//! `token_issue` by the device code of a registered client (RFC 8628, 3.4 and 3.5).
//!
//! The code works for its client, once, and where the client proved a key when it asked, with that key.

use purser_authority::action::TokenIssue;
use purser_authority::{Caller, Done, Event, Permit};
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::{Secret, Timestamp};
use serde_json::json;

use super::DevicePoll;
use super::dpop::{Proof, ProofError};
use super::sign_on::{self as tokens, SignOnTokenError, SignOnTokens};
use crate::authorization::device::{self, DeviceSignOn, State};
use crate::authorization::sign_on;
use crate::client::{Client, GrantType};
use crate::person;
use crate::realm::Realm;

#[derive(Debug, thiserror::Error)]
pub enum DeviceSignOnError {
    #[error("the device code is not valid for this client or key")]
    InvalidGrant,
    #[error("this client may not use device codes")]
    Unauthorized,
    #[error("the token endpoint was asked for another resource than the person was")]
    Target,
    #[error("no person has decided yet")]
    Pending,
    #[error("the person denied the request")]
    Denied,
    #[error("the device code has run out")]
    Expired,
    #[error(transparent)]
    SignOn(#[from] SignOnTokenError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The codes are those of RFC 8628, 3.5.
impl PublicError for DeviceSignOnError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidGrant => "invalid_grant",
            Self::Unauthorized => "unauthorized_client",
            Self::Target => "invalid_target",
            Self::Pending => "authorization_pending",
            Self::Denied => "access_denied",
            Self::Expired => "expired_token",
            Self::SignOn(e) => e.code(),
            Self::Proof(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::InvalidGrant | Self::Unauthorized | Self::Target | Self::Pending | Self::Denied | Self::Expired => Kind::Invalid,
            Self::SignOn(e) => e.kind(),
            Self::Proof(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidGrant | Self::Denied | Self::Expired => Some("ask for a new device code".to_owned()),
            Self::SignOn(e) => e.hint(),
            Self::Proof(e) => e.hint(),
            _ => None,
        }
    }
}

/// What comes with a device code, besides the client, which is authenticated already. What counts once was taken before.
#[derive(Clone, Debug)]
pub struct DeviceUse {
    pub device_code: Secret<String>,
    pub resource: Option<String>,
    pub proof: Option<Proof>,
}

impl DeviceUse {
    /// Whether a code has the form of a client's device code.
    #[must_use]
    pub fn is_of_client(device_code: &Secret<String>) -> bool {
        token::is_well_formed(device_code.expose(), device::DEVICE_SIGN_ON)
    }
}

/// Looks whether there is a decision, without writing anything: what a held poll does.
///
/// # Errors
/// See [`DeviceSignOnError`].
pub fn device_sign_on_poll(tx: &mut Tx<'_>, now: Timestamp, client: &Client, given: &DeviceUse) -> Result<DevicePoll, DeviceSignOnError> {
    let request = request_of(tx, now, client, given)?;
    Ok(if request.is_pending() { DevicePoll::Pending } else { DevicePoll::Decided })
}

/// Issues the tokens of a decided request.
///
/// # Errors
/// See [`DeviceSignOnError`].
pub fn token_issue_by_device(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<TokenIssue>,
    client: &Client,
    given: &DeviceUse,
) -> Result<Done<SignOnTokens>, DeviceSignOnError> {
    let now = realm.env.now();
    let request = request_of(tx, now, client, given)?;
    let signed_in = match request.state {
        State::Pending => return Err(DeviceSignOnError::Pending),
        State::Denied => return Err(DeviceSignOnError::Denied),
        State::Expired => return Err(DeviceSignOnError::Expired),
        // A decision that nobody fetched in time is not kept for later.
        State::Accepted(_) if now >= request.expires_at => return Err(DeviceSignOnError::Expired),
        State::Accepted(signed_in) => signed_in,
    };
    if client.metadata.dpop_bound_access_tokens && given.proof.is_none() {
        return Err(ProofError::Missing.into());
    }
    // Whoever ended the session in which the yes was said has taken it back.
    let session = "select id from session where id = $1 and ended_at is null";
    tx.query_opt(session, params![signed_in.session])?.ok_or(DeviceSignOnError::Denied)?;
    let member = person::member(tx, &signed_in.organisation, &signed_in.person)?.ok_or(DeviceSignOnError::Denied)?;
    // Counted in the statement that takes it, so that of two uses at once one gets nothing.
    let take = "update device_sign_on set redeemed_at = $2 where id = $1 and redeemed_at is null";
    if tx.execute(take, params![request.id, now])? != 1 {
        return Err(DeviceSignOnError::InvalidGrant);
    }
    let audience = request.asked.resource.unwrap_or_else(|| realm.issuer.to_string());
    let started = sign_on::start(tx, realm, client, &signed_in, audience, given.proof.as_ref().map(Proof::jkt))?;
    let issued = tokens::issue(tx, realm, client, &started, signed_in.scope.clone(), None)?;
    let caller = Caller::Person {
        person: signed_in.person.clone(),
        organisation: signed_in.organisation.clone(),
        role: member.role,
        present_at: None,
    };
    let event = Event::done(permit.verb(), &caller, started.id.as_str())
        .related([client.id.as_str(), request.id.as_str()])
        .with(json!({ "client": client.id, "client_name": client.name(), "scope": signed_in.scope, "flow": "device" }));
    Ok(Done::with_event(issued, event))
}

fn request_of(tx: &mut Tx<'_>, now: Timestamp, client: &Client, given: &DeviceUse) -> Result<DeviceSignOn, DeviceSignOnError> {
    if !client.may(GrantType::DeviceCode) {
        return Err(DeviceSignOnError::Unauthorized);
    }
    if !DeviceUse::is_of_client(&given.device_code) {
        return Err(DeviceSignOnError::InvalidGrant);
    }
    let found = device::by_device_code(tx, &token::hash(given.device_code.expose()), now)?;
    let request = found.filter(|r| r.asked.client == client.id && !r.redeemed).ok_or(DeviceSignOnError::InvalidGrant)?;
    let bound = request.asked.dpop_jkt.as_deref();
    if bound.is_some() && given.proof.as_ref().map(Proof::jkt) != bound {
        return Err(DeviceSignOnError::InvalidGrant);
    }
    if given.resource.is_some() && given.resource != request.asked.resource {
        return Err(DeviceSignOnError::Target);
    }
    Ok(request)
}
