//! The address of this installation: the issuer of all that it signs, the name that passkeys are bound to, the way of every mailed link.
//!
//! INVARIANT (address-stays): an installation that was served at one address is served at another only where the operator names the old
//! one. A changed line in a file would otherwise end every passkey, token and link without a word.

use purser_authority::{Caller, Done, Event};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};

use crate::realm::Realm;

#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error(
        "this installation is known as `{kept}`, and the configuration says `{asked}`: passkeys, tokens, grants and mailed links are bound to \
         the address and would end. Put `public_url = \"{kept}\"` back; or, to move for good, write `public_url_was = \"{kept}\"` beside the new one"
    )]
    Moved { kept: String, asked: String },
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for AddressError {
    fn code(&self) -> &'static str {
        match self {
            Self::Moved { .. } => "address_moved",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Moved { .. } => Kind::Conflict,
            Self::Db(e) => e.kind(),
        }
    }
}

/// Whether this installation may be served at an address: where it was before, where it never was, or where the operator named the
/// address that it moves from.
///
/// # Errors
/// [`AddressError::Moved`].
pub fn address_check(tx: &mut Tx<'_>, issuer: &str, was: Option<&str>) -> Result<(), AddressError> {
    match kept(tx)? {
        Some(kept) if kept != issuer && was != Some(kept.as_str()) => Err(AddressError::Moved { kept, asked: issuer.to_owned() }),
        _ => Ok(()),
    }
}

/// Keeps the address of the first start, or of a move that the operator named.
///
/// # Errors
/// [`AddressError::Moved`].
pub fn address_settle(tx: &mut Tx<'_>, realm: &Realm, was: Option<&str>) -> Result<Done<()>, AddressError> {
    let issuer = &*realm.issuer;
    address_check(tx, issuer, was)?;
    let keep = "insert into installation_address (one, issuer, since) values (1, $1, $2)
                on conflict (one) do update set issuer = excluded.issuer, since = excluded.since where installation_address.issuer <> excluded.issuer";
    if tx.execute(keep, params![issuer, realm.env.now()])? == 0 {
        return Ok(Done::quiet(()));
    }
    Ok(Done::with_event((), Event::done("address_settle", &Caller::Operator, issuer)))
}

fn kept(tx: &mut Tx<'_>) -> Result<Option<String>, DbError> {
    tx.query_opt("select issuer from installation_address where one = 1", params![])?.map(|row| row.get("issuer")).transpose()
}
