//! A client starts the flow (RFC 8628, 3.1 and 3.2).

use purser_authority::action::AuthorizationRequest;
use purser_authority::{Denied, Done, Permit};
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::AuthorizationId;
use purser_values::limits::DEVICE_CODE_LIFE_S;
use purser_values::{Secret, Timestamp};
use serde_json::json;

use super::DeviceAsked;
use crate::client::assertion::{Assertion, AssertionError};
use crate::grant_request::UserCode;
use crate::limits::AUTHORIZATIONS_PER_PEER;
use crate::realm::Realm;
use crate::token::dpop::{Proof, ProofError};

/// The prefix of the device codes of clients; those of agents and terminals have another.
pub(crate) const DEVICE_SIGN_ON: &str = "pur_ds";

#[derive(Debug, thiserror::Error)]
pub enum DeviceStartError {
    #[error("too many requests from this address wait for a person")]
    TooMany,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for DeviceStartError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooMany => "too_many_requests",
            Self::Denied(e) => e.code(),
            Self::Assertion(e) => e.code(),
            Self::Proof(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::TooMany => Kind::RateLimited,
            Self::Denied(e) => e.kind(),
            Self::Assertion(e) => e.kind(),
            Self::Proof(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::TooMany => Some("wait until a person has answered, or until the older requests run out".to_owned()),
            Self::Denied(e) => e.hint(),
            Self::Proof(e) => e.hint(),
            Self::Assertion(_) | Self::Db(_) => None,
        }
    }
}

/// A request with what must count once.
#[derive(Clone, Debug)]
pub struct DeviceStart {
    pub asked: DeviceAsked,
    pub peer: String,
    pub proof: Option<Proof>,
    pub assertion: Option<Assertion>,
}

#[derive(Debug)]
pub struct DeviceStarted {
    pub device_code: Secret<String>,
    pub user_code: UserCode,
    pub expires_at: Timestamp,
}

/// Keeps the request and mints its two codes.
///
/// # Errors
/// When the proof or the assertion was seen before, or too many requests wait.
pub fn device_sign_on_start(
    tx: &mut Tx<'_>,
    realm: &Realm,
    _permit: Permit<AuthorizationRequest>,
    start: &DeviceStart,
) -> Result<Done<DeviceStarted>, DeviceStartError> {
    if let Some(assertion) = &start.assertion {
        assertion.consume(tx)?;
    }
    if let Some(proof) = &start.proof {
        proof.consume(tx)?;
    }
    let now = realm.env.now();
    let waiting = "select count(*) as n from device_sign_on where peer = $1 and state = 'pending' and expires_at > $2";
    if tx.query_one(waiting, params![start.peer, now])?.get::<i64>("n")? >= AUTHORIZATIONS_PER_PEER {
        return Err(DeviceStartError::TooMany);
    }
    let (device_code, digest) = token::mint(&realm.env, DEVICE_SIGN_ON);
    let (id, user_code) = (AuthorizationId::mint(&realm.env), UserCode::mint(&realm.env));
    let (asked, expires_at) = (&start.asked, now.plus_secs(DEVICE_CODE_LIFE_S));
    let insert = "insert into device_sign_on (id, device_code, user_code, client, asked, peer, created_at, expires_at, state)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, 'pending')";
    tx.execute(insert, params![id, digest, user_code.as_str(), asked.client.as_str(), json!(asked), start.peer, now, expires_at])?;
    Ok(Done::quiet(DeviceStarted { device_code, user_code, expires_at }))
}
