//! `rate_set`: an owner states a rate, or takes one back.

use purser_authority::action::RateSet as RateSetAction;
use purser_authority::{Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::id::OrganisationId;
use purser_values::{Currency, Env};
use serde_json::json;

use super::{Rate, RateError, read};
use crate::limits::{RATE_DEVIATION_BP, RATE_LIFE_S, RATE_SOURCE_CHARS};
use crate::spender;

/// What is stated, for which organisation.
#[derive(Clone, Debug)]
pub struct RateSet {
    pub organisation: OrganisationId,
    pub rate: Rate,
}

/// States the rate in the place of the one before. What was set aside before keeps its own.
///
/// # Errors
/// See [`RateError`]; then nothing is changed.
pub fn set(tx: &mut Tx<'_>, env: &Env, permit: &Permit<RateSetAction>, wanted: &RateSet) -> Result<Done<()>, RateError> {
    let RateSet { organisation, rate } = wanted;
    spender::same_organisation(permit.caller(), organisation)?;
    let source = rate.source.trim();
    if rate.from == rate.to {
        return Err(RateError::SameCurrency(rate.from));
    }
    if !(0..=RATE_DEVIATION_BP).contains(&rate.deviation_bp) {
        return Err(RateError::Deviation(rate.deviation_bp));
    }
    if source.is_empty() || source.chars().count() > RATE_SOURCE_CHARS || source.chars().any(char::is_control) {
        return Err(RateError::Source);
    }
    let now = env.now();
    if rate.valid_until <= rate.valid_from || rate.valid_until <= now || rate.valid_until > now.plus_secs(RATE_LIFE_S) {
        return Err(RateError::Time);
    }
    let before = read::find(tx, organisation, rate.from, rate.to)?;
    let by = permit.caller().person().map(ToString::to_string).unwrap_or_default();
    let upsert = "insert into spend_rate (organisation, source_currency, target_currency, numerator, denominator, deviation_bp, source,
                      valid_from, valid_until, set_by, set_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                  on conflict (organisation, source_currency, target_currency) do update set numerator = $4, denominator = $5,
                      deviation_bp = $6, source = $7, valid_from = $8, valid_until = $9, set_by = $10, set_at = $11";
    let which = params![organisation, rate.from, rate.to, rate.ratio.numerator, rate.ratio.denominator, rate.deviation_bp];
    tx.execute(upsert, &[which, params![source, rate.valid_from, rate.valid_until, by, now]].concat())?;
    let event = Event::done(permit.verb(), permit.caller(), organisation.as_str())
        .in_organisation(organisation)
        .with(json!({ "before": before, "after": rate }));
    Ok(Done::with_event((), event))
}

/// Takes the rate back: from now on nothing is converted so.
///
/// # Errors
/// When there is none.
pub fn remove(
    tx: &mut Tx<'_>,
    permit: &Permit<RateSetAction>,
    organisation: &OrganisationId,
    from: Currency,
    to: Currency,
) -> Result<Done<()>, RateError> {
    spender::same_organisation(permit.caller(), organisation)?;
    let before = read::find(tx, organisation, from, to)?.ok_or(RateError::Unknown(from, to))?;
    let delete = "delete from spend_rate where organisation = $1 and source_currency = $2 and target_currency = $3";
    tx.execute(delete, params![organisation, from, to])?;
    let event = Event::done(permit.verb(), permit.caller(), organisation.as_str())
        .in_organisation(organisation)
        .with(json!({ "before": before, "after": null }));
    Ok(Done::with_event((), event))
}
