//! A person allows charges again although a payment is, or was, disputed.

use purser_authority::action::ChargebackLift;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{Tx, params};
use purser_values::Env;
use purser_values::id::PaymentMethodId;
use purser_values::name::ProviderName;
use serde_json::json;

use crate::method::{self, MethodError};
use crate::spender;

/// Lets the payment method be charged at the provider again. Lifting twice does nothing.
///
/// # Errors
/// When the method is not the caller's organisation's.
pub fn lift(
    tx: &mut Tx<'_>,
    env: &Env,
    permit: &Permit<ChargebackLift>,
    id: &PaymentMethodId,
    provider: &ProviderName,
) -> Result<Done<()>, MethodError> {
    let method = method::find(tx, id)?.ok_or(Denied::NotFound)?;
    spender::same_organisation(permit.caller(), &method.organisation)?;
    let by = permit.caller().person().map(ToString::to_string).unwrap_or_default();
    let update = "update spend_chargeback set lifted_by = $3, lifted_at = $4
                  where payment_method = $1 and provider = $2 and state <> 'won' and lifted_at is null";
    let lifted = tx.execute(update, params![id, provider, by, env.now()])?;
    if lifted == 0 {
        return Ok(Done::quiet(()));
    }
    super::keep_stopped(tx, id)?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str())
        .in_organisation(&method.organisation)
        .with(json!({"provider": provider, "disputes": lifted}));
    Ok(Done::with_event((), event))
}
