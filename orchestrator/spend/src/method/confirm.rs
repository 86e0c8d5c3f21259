//! A person was at the bank: a method that waited for that may be charged.

use purser_authority::action::PaymentMethodSet;
use purser_authority::{Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::id::PaymentMethodId;
use serde_json::json;

use super::{MethodError, MethodState, PaymentMethod, own};

/// Records that the rail has the person's authentication; the rail is asked before, not here.
///
/// # Errors
/// When the method is not the caller's organisation's.
pub fn confirm(tx: &mut Tx<'_>, permit: &Permit<PaymentMethodSet>, id: &PaymentMethodId) -> Result<Done<PaymentMethod>, MethodError> {
    let mut method = own(tx, permit.caller(), id)?;
    if method.state == MethodState::Active {
        return Ok(Done::quiet(method));
    }
    method.state = MethodState::Active;
    tx.execute("update payment_method set state = $2 where id = $1", params![id, method.state.name()])?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .in_organisation(&method.organisation)
        .with(json!({"authenticated": true, "last4": method.last4}));
    Ok(Done::with_event(method, event))
}
