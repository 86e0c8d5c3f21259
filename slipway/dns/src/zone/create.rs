//! `zone_create`: answer for a domain. Done when an account registers one.

use purser_db::Tx;
use purser_values::Env;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

use crate::store;
use crate::zone::{Zone, ZoneError};

/// Makes the zone; for an account that has it already, this is [`crate::zone::get::zone_get`].
///
/// The caller has made sure that the domain is the account's.
///
/// # Errors
/// When another account has the zone.
pub fn zone_create(tx: &mut Tx<'_>, env: &Env, account: &CloudAccountId, name: &DomainName) -> Result<Zone, ZoneError> {
    if let Some(zone) = store::zone(tx, name)? {
        return if zone.account == *account { Ok(zone) } else { Err(ZoneError::Taken) };
    }
    let now = env.now();
    let id = env.bytes::<16>().iter().map(|b| format!("{b:02x}")).collect();
    let zone = Zone { id, account: account.clone(), name: name.clone(), serial: store::serial_after(0, now), created_at: now };
    store::insert_zone(tx, &zone)?;
    Ok(zone)
}
