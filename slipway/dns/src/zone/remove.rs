//! `zone_remove`: stop answering for a domain.

use purser_db::Tx;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

use crate::store;
use crate::zone::ZoneError;
use crate::zone::get::zone_get;

/// Removes the zone with all its records; removing what is not there is no error.
///
/// # Errors
/// When the store fails.
pub fn zone_remove(tx: &mut Tx<'_>, account: &CloudAccountId, name: &DomainName) -> Result<(), ZoneError> {
    match zone_get(tx, account, name) {
        Ok(zone) => Ok(store::delete_zone(tx, &zone.name)?),
        Err(ZoneError::NotFound) => Ok(()),
        Err(e) => Err(e),
    }
}
