//! `authorization_push` (RFC 9126): the client hands its request in beforehand and gets a name for it, which works once, for a
//! minute, for this client.

use purser_authority::Done;
use purser_authority::Permit;
use purser_authority::action::AuthorizationRequest;
use purser_crypto::token;
use purser_db::{Tx, params};
use purser_values::Sha256Digest;
use purser_values::id::AuthorizationId;
use serde_json::json;

use super::begin::{ask_for_grant, read, refuse_crowd};
use super::{Asked, BeginError, Pending};
use crate::client::ClientId;
use crate::limits::{AUTHORIZATION_LIFE_S, PUSHED_LIFE_S};
use crate::realm::Realm;

/// What comes before the handle in a `request_uri`.
const URN: &str = "urn:ietf:params:oauth:request_uri:";
const HANDLE: &str = "pur_ru";

#[derive(Debug)]
pub struct Pushed {
    pub request_uri: String,
    pub expires_in_s: i64,
}

/// Keeps the request under a name of 256 random bits.
///
/// # Errors
/// When too many of the peer's wait.
pub fn authorization_push(
    tx: &mut Tx<'_>,
    realm: &Realm,
    _permit: Permit<AuthorizationRequest>,
    asked: &Asked,
    peer: &str,
) -> Result<Done<Pushed>, BeginError> {
    let now = realm.env.now();
    refuse_crowd(tx, now, peer)?;
    let (handle, digest) = token::mint(&realm.env, HANDLE);
    let id = AuthorizationId::mint(&realm.env);
    let insert = "insert into authorization_request (id, handle, client, asked, peer, created_at, expires_at)
                  values ($1, $2, $3, $4, $5, $6, $7)";
    let until = now.plus_secs(PUSHED_LIFE_S);
    tx.execute(insert, params![id, digest, asked.client.as_str(), json!(asked), peer, now, until])?;
    Ok(Done::quiet(Pushed { request_uri: format!("{URN}{}", handle.expose()), expires_in_s: PUSHED_LIFE_S }))
}

/// The browser brings the name: from here on the request is that browser's, and the name is nobody's.
///
/// # Errors
/// [`BeginError::NotPushed`].
pub fn authorization_take(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<AuthorizationRequest>,
    client: &ClientId,
    request_uri: &str,
    peer: &str,
    browser: &Sha256Digest,
) -> Result<Done<Pending>, BeginError> {
    let handle = request_uri.strip_prefix(URN).filter(|handle| token::is_well_formed(handle, HANDLE)).ok_or(BeginError::NotPushed)?;
    let now = realm.env.now();
    let take = "update authorization_request set handle = null, browser = $3, created_at = $4, expires_at = $5
                where handle = $1 and client = $2 and expires_at > $4 returning *";
    let until = now.plus_secs(AUTHORIZATION_LIFE_S);
    let row = tx.query_opt(take, params![token::hash(handle), client.as_str(), browser, now, until])?.ok_or(BeginError::NotPushed)?;
    ask_for_grant(tx, realm, &permit, read(&row)?, peer)
}
