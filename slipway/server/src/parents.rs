//! What the registry says about the keys of our zones: told when it should change, and remembered when it has.

use purser_db::DbError;
use slipway_dns::dnssec::keys::{Ds, zone_ds_due, zone_ds_pushed};
use slipway_dns::zone::Zone;
use slipway_registrar::domain::change::{Change, domain_change};
use slipway_registrar::registry;

use crate::cloud::Shared;

/// Tells the registry of every zone whose keys it should name otherwise. Called now and then; what fails is told again.
pub async fn follow(cloud: &Shared) {
    let now = cloud.env.now();
    let due = match cloud.db.read(move |tx| zone_ds_due(tx, now)).await {
        Ok(due) => due,
        Err(e) => return tracing::error!(error = %e, "it is not known what parents should say of zones"),
    };
    for (zone, ds) in due {
        if let Err(e) = tell(cloud, &zone, ds).await {
            tracing::error!(zone = %zone.name, error = %e, "what the registry was told is not recorded; it is told again");
        }
    }
}

async fn tell(cloud: &Shared, zone: &Zone, ds: Vec<Ds>) -> Result<(), DbError> {
    let Some(registrar) = &cloud.registrar else { return Ok(()) };
    let wanted = ds.iter().map(|one| registry::Ds {
        key_tag: one.key_tag,
        algorithm: one.algorithm,
        digest_type: one.digest_type,
        digest: one.digest.clone(),
    });
    match domain_change(registrar, &zone.account, &zone.name, Change::Ds(wanted.collect())).await {
        Ok(()) => {
            let (zone, now) = (zone.clone(), cloud.env.now());
            cloud.db.write(move |tx| zone_ds_pushed(tx, now, &zone, &ds)).await
        }
        Err(e) => {
            tracing::warn!(zone = %zone.name, error = %e, "the registry was not told of the zone's keys");
            Ok(())
        }
    }
}
