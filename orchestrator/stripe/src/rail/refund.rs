//! Money back through the intent that took it.

use purser_spend::rail::{RailError, RefundOrder, RefundOutcome};

use super::{KEY_LIFE_S, StripeRail, odd};
use crate::amount;
use crate::error::StripeError;
use crate::form::Form;
use crate::object::{List, Refund};
use crate::store;

/// Most refunds of one intent that are looked through for one that was lost.
const LOOK: u32 = 100;

pub async fn refund(rail: &StripeRail, order: &RefundOrder) -> Result<RefundOutcome, RailError> {
    let Some(units) = amount::to_stripe(order.amount) else {
        return Ok(declined("amount_unsupported", "the processor cannot give back this amount in this currency"));
    };
    if let Some(id) = known(rail, order).await? {
        return settle(rail.client.get(&format!("v1/refunds/{id}"), &Form::new()).await?);
    }
    let form = Form::new().with("payment_intent", &order.capture).with("amount", units).metadata("refund", &order.refund);
    match rail.client.post::<Refund>("v1/refunds", &form, order.refund.as_str()).await {
        Ok(made) => {
            store::answered(&rail.db, order.refund.as_str(), &made.id).await?;
            settle(made)
        }
        Err(StripeError::Card { code, message, .. } | StripeError::Refused { code, message }) => Ok(declined(&code, &message)),
        Err(StripeError::Missing { .. }) => Ok(declined("charge_unknown", "the processor does not know this payment")),
        Err(e) => Err(e.into()),
    }
}

async fn known(rail: &StripeRail, order: &RefundOrder) -> Result<Option<String>, RailError> {
    let asked = store::ask(&rail.db, &rail.env, order.refund.as_str()).await?;
    if asked.object.is_some() || rail.env.now() < asked.asked_at.plus_secs(KEY_LIFE_S) {
        return Ok(asked.object);
    }
    let query = Form::new().with("payment_intent", &order.capture).with("limit", LOOK);
    let refunds: List<Refund> = rail.client.get("v1/refunds", &query).await?;
    let found = refunds.data.into_iter().find(|refund| refund.metadata.get("refund").is_some_and(|id| id == order.refund.as_str()));
    if let Some(refund) = &found {
        store::answered(&rail.db, order.refund.as_str(), &refund.id).await?;
    }
    Ok(found.map(|refund| refund.id))
}

fn settle(refund: Refund) -> Result<RefundOutcome, RailError> {
    match refund.status.as_deref() {
        Some("succeeded") => Ok(RefundOutcome::Refunded { reference: refund.id }),
        Some("failed" | "canceled") => {
            Ok(declined(refund.failure_reason.as_deref().unwrap_or("refund_failed"), "the bank did not take the money back"))
        }
        other => Err(odd(format!("the refund is `{}`", other.unwrap_or_default()))),
    }
}

fn declined(code: &str, message: &str) -> RefundOutcome {
    RefundOutcome::Declined { code: code.to_owned(), message: message.to_owned() }
}
