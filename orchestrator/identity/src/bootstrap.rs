//! The first owner: there is no default account, only a link that the operator is shown.
//!
//! INVARIANT (first-owner-once): the link works while there is nobody at all, once, for a day. Only its digest is stored, and a new
//! one ends those before it. Whoever opens it proves an address with a mailed code like everybody else.

use purser_authority::action::BootstrapMint;
use purser_authority::{Done, Event, Permit};
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::PersonId;
use purser_values::{Secret, Timestamp};

use crate::limits::BOOTSTRAP_LIFE_S;
use crate::realm::Realm;

const TOKEN: &str = "pur_bs";

#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    #[error("there are people here already")]
    NotFirst,
    #[error("this link is not valid")]
    Unknown,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for BootstrapError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFirst => "not_first",
            Self::Unknown => "bootstrap_link_unknown",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::NotFirst => Kind::Conflict,
            Self::Unknown => Kind::NotFound,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFirst => Some("ask an owner for an invitation".to_owned()),
            Self::Unknown => {
                Some("it works once, for a day, while there is nobody; the operator makes a new one with `purser bootstrap`".to_owned())
            }
            Self::Db(_) => None,
        }
    }
}

/// The URL that the operator is shown, once.
#[derive(Debug)]
pub struct BootstrapLink {
    pub url: Secret<String>,
    pub expires_at: Timestamp,
}

/// Makes the link by which the first owner comes, and ends those made before.
///
/// # Errors
/// [`BootstrapError::NotFirst`] when there is an owner.
pub fn bootstrap_mint(tx: &mut Tx<'_>, realm: &Realm, permit: &Permit<BootstrapMint>) -> Result<Done<BootstrapLink>, BootstrapError> {
    if !is_empty(tx)? {
        return Err(BootstrapError::NotFirst);
    }
    let now = realm.env.now();
    tx.execute("update bootstrap_link set used_at = $1 where used_at is null", params![now])?;
    let (link, digest) = token::mint(&realm.env, TOKEN);
    let expires_at = now.plus_secs(BOOTSTRAP_LIFE_S);
    tx.execute("insert into bootstrap_link (token_hash, created_at, expires_at) values ($1, $2, $3)", params![digest, now, expires_at])?;
    let url = Secret::new(realm.url(&format!("/bootstrap?token={}", link.expose())));
    Ok(Done::with_event(BootstrapLink { url, expires_at }, Event::done(permit.verb(), permit.caller(), &*realm.issuer)))
}

/// Whether a link works now.
///
/// # Errors
/// When the store fails.
pub fn bootstrap_is_open(tx: &mut Tx<'_>, now: Timestamp, link: &str) -> Result<bool, DbError> {
    if !token::is_well_formed(link, TOKEN) || !is_empty(tx)? {
        return Ok(false);
    }
    let select = "select token_hash from bootstrap_link where token_hash = $1 and used_at is null and expires_at > $2";
    Ok(tx.query_opt(select, params![token::hash(link), now])?.is_some())
}

/// Uses the link up for the person who was just made; of two at once one does.
pub(crate) fn settle(tx: &mut Tx<'_>, now: Timestamp, link: &str, person: &PersonId) -> Result<bool, DbError> {
    let update = "update bootstrap_link set used_at = $2, used_by = $3 where token_hash = $1 and used_at is null and expires_at > $2";
    Ok(tx.execute(update, params![token::hash(link), now, person])? == 1)
}

/// Nobody owns anything: at the beginning, or when the last owner's login was ended.
fn is_empty(tx: &mut Tx<'_>) -> Result<bool, DbError> {
    let select = "select m.person from membership m join person p on p.id = m.person
                  where m.role = 'owner' and p.disabled_at is null limit 1";
    Ok(tx.query_opt(select, params![])?.is_none())
}
