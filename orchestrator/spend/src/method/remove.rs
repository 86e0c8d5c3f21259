//! A person takes a payment method away.

use purser_authority::action::PaymentMethodRemove;
use purser_authority::{Done, Event, Permit};
use purser_db::jobs::NewJob;
use purser_db::{Tx, params};
use purser_values::Env;
use purser_values::id::PaymentMethodId;
use serde_json::json;

use super::{MethodError, own};

/// The kind of job that makes the rail forget a method; its payload is `{"rail": name, "method": reference}`.
pub const FORGET_JOB: &str = "payment_method_forget";

/// Removes the method at once: tokens that were issued on it are refused from now on, and no other method takes their place.
///
/// # Errors
/// When the method is not the caller's organisation's.
pub fn remove(tx: &mut Tx<'_>, env: &Env, permit: &Permit<PaymentMethodRemove>, id: &PaymentMethodId) -> Result<Done<()>, MethodError> {
    let method = own(tx, permit.caller(), id)?;
    tx.execute("update payment_method set state = 'removed' where id = $1", params![id])?;
    let forget = NewJob::now(env, FORGET_JOB, json!({"rail": method.rail, "method": method.reference}));
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .in_organisation(&method.organisation)
        .with(json!({"removed": true, "last4": method.last4}));
    Ok(Done::with_event((), event).and_job(forget))
}
