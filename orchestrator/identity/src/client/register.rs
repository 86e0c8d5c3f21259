//! `client_register`: a client becomes known here (RFC 7591), by itself or by a person for an organisation.

use std::net::IpAddr;

use purser_authority::action::ClientRegister;
use purser_authority::{Denied, Done, Event, Permit};
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::ClientRegistrationId;
use purser_values::{Secret, Sha256Digest, Timestamp};
use serde_json::json;

use super::{AuthMethod, Client, ClientMetadata, Trust};
use crate::limits::{CLIENTS_PER_HOUR, CLIENTS_PER_PEER_HOUR};
use crate::realm::Realm;

const SECRET: &str = "pur_cs";
/// The prefix of registration access tokens (RFC 7592).
pub(super) const REGISTRATION: &str = "pur_cr";

#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("too many clients were registered in the last hour")]
    TooMany,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for RegisterError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooMany => "too_many_requests",
            Self::Denied(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::TooMany => Kind::RateLimited,
            Self::Denied(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::TooMany => Some("register once and keep what you are given".to_owned()),
            Self::Denied(e) => e.hint(),
            Self::Db(_) => None,
        }
    }
}

#[derive(Clone, Debug)]
pub struct Registration {
    pub metadata: ClientMetadata,
    pub trust: Trust,
    pub peer: String,
}

#[derive(Debug)]
pub struct Registered {
    pub client: Client,
    pub created_at: Timestamp,
    /// Shown once.
    pub secret: Option<Secret<String>>,
    /// Lets the client manage its own registration; shown once. Clients of an organisation are managed by persons.
    pub registration_token: Option<Secret<String>>,
}

/// Records the client and mints what it proves itself with.
///
/// # Errors
/// When too many come.
pub fn client_register(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<ClientRegister>,
    registration: &Registration,
) -> Result<Done<Registered>, RegisterError> {
    let (env, now) = (&realm.env, realm.env.now());
    let organisation = permit.caller().organisation().cloned();
    if organisation.is_none() && registration.trust != Trust::Token {
        refuse_crowd(tx, now, &registration.peer)?;
    }
    let (secret, secret_hash) = secret_for(realm, &registration.metadata);
    let (registration_token, token_hash) = match organisation {
        None => Some(token::mint(env, REGISTRATION)).unzip(),
        Some(_) => (None, None),
    };
    let id = ClientRegistrationId::mint(env);
    let metadata = json!(registration.metadata);
    let insert = "insert into client
        (id, organisation, trust, metadata, secret_hash, registration_token_hash, peer, created_at, changed_at, registered_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)";
    let (peer, by) = (&registration.peer, permit.caller().person());
    tx.execute(insert, params![id, organisation, registration.trust.name(), metadata, secret_hash, token_hash, peer, now, by])?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str());
    let event = event.with(json!({ "client_name": registration.metadata.client_name, "trust": registration.trust.name(), "peer": peer }));
    let client = Client {
        id: id.as_str().parse().map_err(|e| DbError::Corrupt(format!("{e}")))?,
        trust: registration.trust,
        organisation,
        metadata: registration.metadata.clone(),
        secret_hash,
    };
    Ok(Done::with_event(Registered { client, created_at: now, secret, registration_token }, event))
}

/// A secret, if the client proves itself with one.
pub(super) fn secret_for(realm: &Realm, metadata: &ClientMetadata) -> (Option<Secret<String>>, Option<Sha256Digest>) {
    match metadata.token_endpoint_auth_method {
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => Some(token::mint(&realm.env, SECRET)).unzip(),
        AuthMethod::None | AuthMethod::PrivateKeyJwt => (None, None),
    }
}

fn refuse_crowd(tx: &mut Tx<'_>, now: Timestamp, peer: &str) -> Result<(), RegisterError> {
    let since = now.plus_secs(-3_600);
    let of_peer = "select count(*) as n from client where peer = $1 and created_at > $2 and organisation is null";
    let of_all = "select count(*) as n from client where created_at > $1 and organisation is null";
    let one = tx.query_one(of_peer, params![peer, since])?.get::<i64>("n")?;
    let all = tx.query_one(of_all, params![since])?.get::<i64>("n")?;
    if (one >= CLIENTS_PER_PEER_HOUR && !is_this_machine(peer)) || all >= CLIENTS_PER_HOUR { Err(RegisterError::TooMany) } else { Ok(()) }
}

/// Whether a request came from this machine itself: whoever sets things up or tests here. Behind a proxy the peer is the visitor's.
fn is_this_machine(peer: &str) -> bool {
    peer.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}
