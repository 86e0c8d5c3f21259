//! Signatures of providers that were seen: each is good once.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::name::ProviderName;

/// Takes the nonce. False when it was taken before; what has expired is forgotten on the way.
pub fn take(tx: &mut Tx<'_>, provider: &ProviderName, nonce: &str, now: Timestamp, until: Timestamp) -> Result<bool, DbError> {
    tx.execute("delete from provider_nonce where until < $1", params![now])?;
    let insert = "insert into provider_nonce (provider, nonce, until) values ($1, $2, $3) on conflict do nothing";
    Ok(tx.execute(insert, params![provider, nonce, until])? == 1)
}
