//! What happens to a client later: it reads, changes or deletes its own registration (RFC 7592), or a person removes it.

use purser_authority::action::{ClientRegister, ClientRemove};
use purser_authority::{Caller, Denied, Done, Event, Permit};
use purser_crypto::{constant_time_eq, token};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::{Secret, Sha256Digest, Timestamp};
use serde_json::json;

use super::find::read;
use super::register::{REGISTRATION, secret_for};
use super::{Client, ClientId, ClientMetadata};
use crate::authorization::sign_on;
use crate::realm::Realm;

#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// Unknown, removed, or not this token's; RFC 7592, 3 wants these not told apart.
    #[error("the registration access token is not valid for this client")]
    Token,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for ManageError {
    fn code(&self) -> &'static str {
        match self {
            Self::Token => "invalid_token",
            Self::Denied(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Token => Kind::Unauthenticated,
            Self::Denied(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Token | Self::Db(_) => None,
        }
    }
}

/// A registration as its client sees it.
#[derive(Debug)]
pub struct Managed {
    pub client: Client,
    pub created_at: Timestamp,
    /// A new secret, when the client now needs one and had none.
    pub secret: Option<Secret<String>>,
}

/// The registration that a token is for.
///
/// # Errors
/// See [`ManageError`].
pub fn client_read(tx: &mut Tx<'_>, id: &ClientId, registration_token: &Secret<String>) -> Result<Managed, ManageError> {
    if !token::is_well_formed(registration_token.expose(), REGISTRATION) {
        return Err(ManageError::Token);
    }
    let select = "select * from client where id = $1 and removed_at is null";
    let row = tx.query_opt(select, params![id.as_str()])?.ok_or(ManageError::Token)?;
    let stored: Option<Sha256Digest> = row.get("registration_token_hash")?;
    let given = token::hash(registration_token.expose());
    if !stored.is_some_and(|stored| constant_time_eq(stored.as_bytes(), given.as_bytes())) {
        return Err(ManageError::Token);
    }
    Ok(Managed { client: read(&row)?, created_at: row.get("created_at")?, secret: None })
}

/// Replaces the metadata as a whole (RFC 7592, 2.2). A secret is kept as long as one is used.
///
/// # Errors
/// See [`ManageError`].
pub fn client_update(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<ClientRegister>,
    id: &ClientId,
    registration_token: &Secret<String>,
    metadata: &ClientMetadata,
) -> Result<Done<Managed>, ManageError> {
    let mut managed = client_read(tx, id, registration_token)?;
    let (fresh, fresh_hash) = secret_for(realm, metadata);
    match (managed.client.secret_hash, fresh_hash) {
        (Some(_), Some(_)) => {}
        (None, Some(_)) => {
            managed.client.secret_hash = fresh_hash;
            managed.secret = fresh;
        }
        (_, None) => managed.client.secret_hash = None,
    }
    let update = "update client set metadata = $2, secret_hash = $3, changed_at = $4 where id = $1";
    tx.execute(update, params![id.as_str(), json!(metadata), managed.client.secret_hash, realm.env.now()])?;
    managed.client.metadata = metadata.clone();
    let event =
        Event::done(permit.verb(), permit.caller(), id.as_str()).with(json!({ "changed": true, "client_name": metadata.client_name }));
    Ok(Done::with_event(managed, event))
}

/// Deletes the registration (RFC 7592, 2.3) and ends what followed from it.
///
/// # Errors
/// See [`ManageError`].
pub fn client_delete(tx: &mut Tx<'_>, realm: &Realm, id: &ClientId, registration_token: &Secret<String>) -> Result<Done<()>, ManageError> {
    client_read(tx, id, registration_token)?;
    Ok(forget(tx, realm, &Caller::Anonymous, id)?)
}

/// `client_remove`: a person takes a client of their organisation away.
///
/// # Errors
/// [`Denied::NotFound`] when it is not the organisation's.
pub fn client_remove(tx: &mut Tx<'_>, realm: &Realm, permit: &Permit<ClientRemove>) -> Result<Done<()>, ManageError> {
    let select = "select * from client where id = $1 and organisation = $2 and removed_at is null";
    let row = tx.query_opt(select, params![permit.subject(), permit.caller().organisation()])?.ok_or(Denied::NotFound)?;
    Ok(forget(tx, realm, permit.caller(), &read(&row)?.id)?)
}

fn forget(tx: &mut Tx<'_>, realm: &Realm, caller: &Caller, id: &ClientId) -> Result<Done<()>, DbError> {
    tx.execute("update client set removed_at = $2 where id = $1", params![id.as_str(), realm.env.now()])?;
    tx.execute("delete from client_consent where client = $1", params![id.as_str()])?;
    sign_on::end_of_client(tx, realm.env.now(), id, "the client was removed")?;
    Ok(Done::with_event((), Event::done("client_remove", caller, id.as_str())))
}
