//! A person adds a payment method that a rail has set up.

use purser_authority::action::{Action as _, PaymentMethodSet};
use purser_authority::{Caller, Denied, Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::Env;
use purser_values::id::{OrganisationId, PaymentMethodId, PersonId};
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
    let by = permit.caller().person().ok_or(Denied::NotFound)?;
    keep(tx, env, permit.caller(), by, organisation, set_up)
}

/// The same for a method that `by` began to set up while they were there.
pub(super) fn keep(
    tx: &mut Tx<'_>,
    env: &Env,
    caller: &Caller,
    by: &PersonId,
    organisation: &OrganisationId,
    set_up: &RailMethod,
) -> Result<Done<PaymentMethod>, MethodError> {
    if set_up.last4.len() != 4 || !set_up.last4.bytes().all(|b| b.is_ascii_digit()) {
        return Err(MethodError::Unusable("the last four digits are not four digits"));
    }
    if set_up.brand.is_empty() || set_up.brand.len() > 32 || set_up.brand.bytes().any(|b| b.is_ascii_digit()) {
        return Err(MethodError::Unusable("the brand is not a name"));
    }
    if is_like_a_number(&set_up.reference) {
        return Err(MethodError::Unusable("the reference could be a card number"));
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
        stopped: Vec::new(),
        added_at: env.now(),
    };
    let insert = "insert into payment_method (id, organisation, rail, reference, brand, last4, state, added_by, added_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let PaymentMethod { id, rail, reference, brand, last4, .. } = &method;
    tx.execute(insert, params![id, organisation, rail, reference, brand, last4, state.name(), by, method.added_at])?;
    let event = Event::done(PaymentMethodSet::RULE.name, caller, id.as_str())
        .in_organisation(organisation)
        .related([by.as_str()])
        .with(json!({"rail": rail, "brand": brand, "last4": last4, "state": state.name()}));
    Ok(Done::with_event(method, event))
}

/// Shortest card number that there is, in digits.
const CARD_DIGITS: usize = 12;

/// Whether a text could be a card number as people write it.
fn is_like_a_number(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || c == ' ' || c == '-') && text.bytes().filter(u8::is_ascii_digit).count() >= CARD_DIGITS
}
