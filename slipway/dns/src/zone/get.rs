//! `zone_get`, `zone_list`, `record_list`: what an account's zones hold. Another account's zone does not exist.

use purser_db::{DbError, Tx};
use purser_values::id::CloudAccountId;
use purser_values::name::{DomainName, HostName};

use crate::record::{Owner, Record};
use crate::store;
use crate::zone::entry::Entry;
use crate::zone::{Zone, ZoneError};

/// # Errors
/// When the account has no such zone.
pub fn zone_get(tx: &mut Tx<'_>, account: &CloudAccountId, name: &DomainName) -> Result<Zone, ZoneError> {
    store::zone(tx, name)?.filter(|zone| zone.account == *account).ok_or(ZoneError::NotFound)
}

/// The zone that clients of the API know by its id.
///
/// # Errors
/// When the account has no such zone.
pub fn zone_by_id(tx: &mut Tx<'_>, account: &CloudAccountId, id: &str) -> Result<Zone, ZoneError> {
    store::zone_by_id(tx, id)?.filter(|zone| zone.account == *account).ok_or(ZoneError::NotFound)
}

/// The zone's records with what clients of the API wrote beside them.
///
/// # Errors
/// When the store fails.
pub fn entry_list(tx: &mut Tx<'_>, zone: &Zone) -> Result<Vec<Entry>, DbError> {
    store::entries(tx, zone)
}

/// # Errors
/// When the zone has no such record.
pub fn entry_get(tx: &mut Tx<'_>, zone: &Zone, id: &str) -> Result<Entry, ZoneError> {
    store::entry(tx, zone, id)?.ok_or(ZoneError::NoRecord)
}

/// The account's zones, by name.
///
/// # Errors
/// When the store fails.
pub fn zone_list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Zone>, DbError> {
    store::zones_of(tx, account)
}

/// The account's zone that a host name lies in, the innermost if there are several.
///
/// # Errors
/// When the store fails.
pub fn zone_of_host(tx: &mut Tx<'_>, account: &CloudAccountId, host: &HostName) -> Result<Option<Zone>, DbError> {
    let owner = Owner::from(host);
    let mut zones = store::zones_of(tx, account)?;
    zones.retain(|zone| owner.is_within(&zone.name));
    Ok(zones.into_iter().max_by_key(|zone| zone.name.as_str().len()))
}

/// The zone's records, by owner. The start-of-authority and name-server records of the zone itself are not among them.
///
/// # Errors
/// When the account has no such zone.
pub fn record_list(tx: &mut Tx<'_>, account: &CloudAccountId, name: &DomainName) -> Result<Vec<Record>, ZoneError> {
    let zone = zone_get(tx, account, name)?;
    Ok(store::records(tx, &zone.name)?)
}
