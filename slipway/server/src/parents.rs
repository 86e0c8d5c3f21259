//! What the registry says about the keys of our zones: told when it should change, and remembered when it has.

use purser_db::{Db, DbError};
use slipway_dns::dnssec::keys::{Ds, zone_ds_due, zone_ds_pushed};
use slipway_dns::zone::Zone;
use slipway_registrar::domain::change::{Change, domain_change};
use slipway_registrar::registrar::Registrar;
use slipway_registrar::registry;

/// Tells the registry of every zone whose keys it should name otherwise. Called now and then; what fails is told again.
pub async fn follow(db: &Db, registrar: &Registrar) {
    let now = registrar.env.now();
    let due = match db.read(move |tx| zone_ds_due(tx, now)).await {
        Ok(due) => due,
        Err(e) => return tracing::error!(error = %e, "it is not known what parents should say of zones"),
    };
    for (zone, ds) in due {
        if let Err(e) = tell(db, registrar, &zone, ds).await {
            tracing::error!(zone = %zone.name, error = %e, "what the registry was told is not recorded; it is told again");
        }
    }
}

async fn tell(db: &Db, registrar: &Registrar, zone: &Zone, ds: Vec<Ds>) -> Result<(), DbError> {
    let wanted = ds.iter().map(|one| registry::Ds {
        key_tag: one.key_tag,
        algorithm: one.algorithm,
        digest_type: one.digest_type,
        digest: one.digest.clone(),
    });
    match domain_change(registrar, &zone.account, &zone.name, Change::Ds(wanted.collect())).await {
        Ok(()) => {
            let (zone, now) = (zone.clone(), registrar.env.now());
            db.write(move |tx| zone_ds_pushed(tx, now, &zone, &ds)).await
        }
        Err(e) => {
            tracing::warn!(zone = %zone.name, error = %e, "the registry was not told of the zone's keys");
            Ok(())
        }
    }
}
