//! The zone in which an organisation's days, weeks and months begin.

use purser_authority::action::{CapRaise, CapSet};
use purser_authority::{Done, Event, Facts, Permit, authorise};
use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::id::OrganisationId;
use serde_json::json;

use super::{CeilingError, read, window};
use crate::calendar::Zone;
use crate::spender;

/// UTC until a person chooses another.
///
/// # Errors
/// When the store fails, or its zone is one that this machine does not know.
pub fn zone(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Zone, DbError> {
    match tx.query_opt("select zone from spend_zone where organisation = $1", params![organisation])? {
        Some(row) => row.get::<String>("zone")?.parse().map_err(|e: crate::calendar::ParseZoneError| DbError::Corrupt(e.to_string())),
        None => Ok(Zone::utc()),
    }
}

/// Chooses the zone. A new day that begins sooner is room that opens sooner, so it wants what raising a cap wants.
///
/// # Errors
/// When the zone is not known.
pub fn zone_set(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<CapSet>,
    organisation: &OrganisationId,
    name: &str,
) -> Result<Done<()>, CeilingError> {
    let env = &env.still();
    spender::same_organisation(permit.caller(), organisation)?;
    authorise::<CapRaise>(permit.caller(), &Facts::new(env.now(), permit.subject())).map(drop)?;
    let (before, after) = (zone(tx, organisation)?, name.parse::<Zone>()?);
    let upsert = "insert into spend_zone (organisation, zone) values ($1, $2) on conflict (organisation) do update set zone = $2";
    tx.execute(upsert, params![organisation, after.name()])?;
    for rule in read::of(tx, organisation)? {
        window::rezone(tx, env, &rule)?;
    }
    let event = Event::done(permit.verb(), permit.caller(), organisation.as_str())
        .in_organisation(organisation)
        .with(json!({"zone": {"before": before.name(), "after": after.name()}}));
    Ok(Done::with_event((), event))
}
