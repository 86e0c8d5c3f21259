//! Pairs of access and refresh token.

use purser_db::{DbError, Tx, params};
use purser_values::{Sha256Digest, Timestamp};

use crate::link::scope::Scopes;

/// A pair, by digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub access: Sha256Digest,
    pub refresh: Sha256Digest,
    pub access_expires_at: Timestamp,
    pub refresh_expires_at: Timestamp,
}

/// What a living pair opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub account: String,
    pub link: Option<String>,
    pub scopes: Option<Scopes>,
    /// The last use of the link that is written down.
    pub used_at: Option<Timestamp>,
}

/// # Errors
/// When the store fails.
pub fn pair_put(tx: &mut Tx<'_>, account: &str, link: Option<&str>, pair: &Pair, family: Option<&Sha256Digest>) -> Result<(), DbError> {
    let insert = "insert into provisioning_pair (access, refresh, account, link, family, access_expires_at, refresh_expires_at)
                  values ($1, $2, $3, $4, $5, $6, $7)";
    tx.execute(insert, params![pair.access, pair.refresh, account, link, family, pair.access_expires_at, pair.refresh_expires_at]).map(drop)
}

/// INVARIANT (refresh-once): replaces the living pair of this refresh token, for exactly one caller; both old tokens are dead.
///
/// # Errors
/// When the store fails.
pub fn pair_rotate(tx: &mut Tx<'_>, refresh: &Sha256Digest, pair: &Pair, now: Timestamp) -> Result<Option<Access>, DbError> {
    let update = "update provisioning_pair set access = $2, refresh = $3, access_expires_at = $4, refresh_expires_at = $5
                  where refresh = $1 and refresh_expires_at > $6
                      and (link is null or exists (select 1 from cloud_link l where l.id = link and l.state = 'active'))";
    let values = params![refresh, pair.access, pair.refresh, pair.access_expires_at, pair.refresh_expires_at, now];
    if tx.execute(update, values)? == 0 {
        return Ok(None);
    }
    access_find(tx, &pair.access, now)
}

/// What a living access token opens. The link is read with it: one that was cut opens nothing.
///
/// # Errors
/// When the store fails.
pub fn access_find(tx: &mut Tx<'_>, access: &Sha256Digest, now: Timestamp) -> Result<Option<Access>, DbError> {
    let select = "select p.account, p.link, l.scopes, l.used_at from provisioning_pair p left join cloud_link l on l.id = p.link
                  where p.access = $1 and p.access_expires_at > $2 and (p.link is null or l.state = 'active')";
    let Some(row) = tx.query_opt(select, params![access, now])? else { return Ok(None) };
    Ok(Some(Access {
        account: row.get("account")?,
        link: row.get("link")?,
        scopes: row.parse_opt("scopes")?,
        used_at: row.get("used_at")?,
    }))
}
