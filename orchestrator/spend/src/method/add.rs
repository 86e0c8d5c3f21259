//! A person adds a payment method that a rail has set up.

use purser_authority::action::PaymentMethodSet;
use purser_authority::{Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::Env;
use purser_values::id::{OrganisationId, PaymentMethodId};
use serde_json::json;

use super::{MethodError, MethodState, PaymentMethod, RailMethod};
use crate::spender;

/// Keeps the method and makes it the one that purchases are charged to.
///
/// # Errors
/// When the rail's answer holds more than a brand and four digits: a whole number must never be stored.
pub fn add(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<PaymentMethodSet>,
    organisation: &OrganisationId,
    set_up: &RailMethod,
) -> Result<Done<PaymentMethod>, MethodError> {
    spender::same_organisation(permit.caller(), organisation)?;
    if set_up.last4.len() != 4 || !set_up.last4.bytes().all(|b| b.is_ascii_digit()) {
        return Err(MethodError::Unusable("the last four digits are not four digits"));
    }
    if set_up.brand.is_empty() || set_up.brand.len() > 32 || set_up.brand.bytes().any(|b| b.is_ascii_digit()) {
        return Err(MethodError::Unusable("the brand is not a name"));
    }
    let state = if set_up.needs_authentication { MethodState::NeedsAuthentication } else { MethodState::Active };
    let method = PaymentMethod {
        id: PaymentMethodId::mint(env),
        organisation: organisation.clone(),
        rail: set_up.rail.clone(),
        reference: set_up.reference.clone(),
        brand: set_up.brand.clone(),
        last4: set_up.last4.clone(),
        state,
        added_at: env.now(),
    };
    let insert = "insert into payment_method (id, organisation, rail, reference, brand, last4, state, added_by, added_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let by = permit.caller().person().map(ToString::to_string).unwrap_or_default();
    let PaymentMethod { id, rail, reference, brand, last4, .. } = &method;
    tx.execute(insert, params![id, organisation, rail, reference, brand, last4, state.name(), by, method.added_at])?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .in_organisation(organisation)
        .with(json!({"rail": rail, "brand": brand, "last4": last4, "state": state.name()}));
    Ok(Done::with_event(method, event))
}
