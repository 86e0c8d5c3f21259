//! A person takes a payment method away.

use purser_authority::action::PaymentMethodRemove;
use purser_authority::{Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::id::PaymentMethodId;
use serde_json::json;

use super::{MethodError, own};

/// Removes the method at once: tokens that were issued on it are refused from now on, and no other method takes their place.
///
/// # Errors
/// When the method is not the caller's organisation's.
pub fn remove(tx: &mut Tx<'_>, permit: &Permit<PaymentMethodRemove>, id: &PaymentMethodId) -> Result<Done<()>, MethodError> {
    let method = own(tx, permit.caller(), id)?;
    tx.execute("update payment_method set state = 'removed' where id = $1", params![id])?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .in_organisation(&method.organisation)
        .with(json!({"removed": true, "last4": method.last4}));
    Ok(Done::with_event((), event))
}
