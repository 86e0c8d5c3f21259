//! The device flow of registered clients (RFC 8628): a client on a device without a browser asks for a sign-on, and a person
//! answers in a browser of theirs, at `/device`.
//!
//! It ends in the same sign-on as an authorization code. Consent is asked for each time and never remembered: the code on another
//! screen is all that ties the device to the person. (Agents and terminals, which are no clients, ask by `grant_request`.)

mod decide;
mod start;

pub use decide::device_sign_on_decide;
pub(crate) use start::DEVICE_SIGN_ON;
pub use start::{DeviceStart, DeviceStartError, DeviceStarted, device_sign_on_start};

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::AuthorizationId;
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::ask::scope_of;
use super::code::SignedInFacts;
use super::{Refusal, resource_of};
use crate::client::{Client, ClientId, GrantType};
use crate::grant_request::UserCode;
use crate::parameters::Parameters;
use crate::scope::Scope;

/// What the client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAsked {
    pub client: ClientId,
    pub client_name: String,
    pub scope: Scope,
    pub resource: Option<String>,
    /// The key that the device code is bound to, where the client proved one.
    pub dpop_jkt: Option<String>,
    pub max_age: Option<i64>,
}

impl DeviceAsked {
    /// Checks a request of an authenticated client. `resources` are the audiences that tokens can be for.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(parameters: &Parameters, client: &Client, dpop_jkt: Option<String>, resources: &[String]) -> Result<Self, Refusal> {
        if !client.may(GrantType::DeviceCode) {
            return Err(Refusal::new("unauthorized_client", "this client is not registered for the device flow"));
        }
        Ok(Self {
            client: client.id.clone(),
            client_name: client.name().to_owned(),
            scope: scope_of(parameters, client)?,
            resource: resource_of(parameters, resources)?,
            dpop_jkt,
            max_age: client.metadata.default_max_age,
        })
    }
}

/// Where a request stands.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Pending,
    Accepted(Box<SignedInFacts>),
    Denied,
    Expired,
}

/// A request that waits for its person, or has their answer.
#[derive(Clone, Debug)]
pub struct DeviceSignOn {
    pub id: AuthorizationId,
    pub asked: DeviceAsked,
    pub user_code: UserCode,
    /// The address that the request came from.
    pub peer: String,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub(crate) state: State,
    /// Whether its tokens were handed out.
    pub(crate) redeemed: bool,
}

impl DeviceSignOn {
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending)
    }

    /// Whether a person has answered.
    #[must_use]
    pub const fn is_decided(&self) -> bool {
        matches!(self.state, State::Accepted(_) | State::Denied)
    }

    /// Whether a sign-in of that moment is recent enough for the client.
    #[must_use]
    pub fn accepts_sign_in_at(&self, signed_in_at: Timestamp, now: Timestamp) -> bool {
        self.asked.max_age.is_none_or(|age| signed_in_at >= self.created_at || now <= signed_in_at.plus_secs(age))
    }
}

/// One request, as it stands at `now`.
///
/// # Errors
/// When the store fails.
pub fn device_sign_on(tx: &mut Tx<'_>, id: &AuthorizationId, now: Timestamp) -> Result<Option<DeviceSignOn>, DbError> {
    tx.query_opt("select * from device_sign_on where id = $1", params![id])?.map(|row| read(&row, now)).transpose()
}

/// The request that a person has the code of.
///
/// # Errors
/// When the store fails.
pub fn device_sign_on_by_user_code(tx: &mut Tx<'_>, code: &UserCode, now: Timestamp) -> Result<Option<DeviceSignOn>, DbError> {
    tx.query_opt("select * from device_sign_on where user_code = $1", params![code.as_str()])?.map(|row| read(&row, now)).transpose()
}

/// The request that a client has the device code of.
pub(crate) fn by_device_code(tx: &mut Tx<'_>, digest: &Sha256Digest, now: Timestamp) -> Result<Option<DeviceSignOn>, DbError> {
    tx.query_opt("select * from device_sign_on where device_code = $1", params![digest])?.map(|row| read(&row, now)).transpose()
}

/// Whether time has run out is derived and never written.
fn read(row: &Row, now: Timestamp) -> Result<DeviceSignOn, DbError> {
    let expires_at: Timestamp = row.get("expires_at")?;
    let state = match row.get::<String>("state")?.as_str() {
        "pending" if now >= expires_at => State::Expired,
        "pending" => State::Pending,
        // The session may have gone on under another id since then.
        "accepted" => State::Accepted(Box::new(SignedInFacts { session: row.parse("session")?, ..row.json("signed_in")? })),
        "denied" => State::Denied,
        other => return Err(DbError::Corrupt(format!("`{other}` is not a state of a device's sign-on"))),
    };
    Ok(DeviceSignOn {
        id: row.parse("id")?,
        asked: row.json("asked")?,
        user_code: row.parse("user_code")?,
        peer: row.get("peer")?,
        created_at: row.get("created_at")?,
        expires_at,
        state,
        redeemed: row.get::<Option<Timestamp>>("redeemed_at")?.is_some(),
    })
}
