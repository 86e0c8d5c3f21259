//! `record_delete`: take a record out of a zone.

use purser_db::Tx;
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

use crate::record::{Data, Owner};
use crate::store;
use crate::zone::ZoneError;
use crate::zone::get::zone_get;

/// Removes the record of this owner and data; whether there was one.
///
/// # Errors
/// When the account has no such zone.
pub fn record_delete(
    tx: &mut Tx<'_>,
    now: Timestamp,
    account: &CloudAccountId,
    zone: &DomainName,
    owner: &Owner,
    data: &Data,
) -> Result<bool, ZoneError> {
    let zone = zone_get(tx, account, zone)?;
    let there = store::delete_record(tx, &zone.name, owner, data)?;
    if there {
        store::touch(tx, &zone, now)?;
    }
    Ok(there)
}
