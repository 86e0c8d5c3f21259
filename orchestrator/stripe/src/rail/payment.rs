//! Charges as payment intents.
//!
//! An intent is made and confirmed in one request, off-session. Where the bank wants the person, that fails; the same intent is then
//! confirmed again with the person there, and a page to come back to. An intent that is declined is cancelled, so that what we have called
//! declined can never be paid later.

use purser_spend::rail::{Confirmation, RailError, RailOrder, RailOutcome};

use super::{KEY_LIFE_S, StripeRail, method_of, odd};
use crate::amount;
use crate::error::StripeError;
use crate::form::Form;
use crate::object::{List, PaymentIntent};
use crate::store;

const AUTHENTICATION_REQUIRED: &str = "authentication_required";
/// Most intents of a customer that are looked through for one that was lost.
const LOOK: u32 = 100;

pub async fn capture(rail: &StripeRail, order: &RailOrder) -> Result<RailOutcome, RailError> {
    match known(rail, order).await? {
        Some(id) => settle(rail, order, retrieve(rail, &id).await?).await,
        None => create(rail, order).await,
    }
}

async fn create(rail: &StripeRail, order: &RailOrder) -> Result<RailOutcome, RailError> {
    let Some(units) = amount::to_stripe(order.amount) else {
        return Ok(declined("amount_unsupported", "the processor cannot take this amount in this currency"));
    };
    let Some((customer, method)) = method_of(&order.method) else {
        return Ok(declined("card_unknown", "the processor does not know this card"));
    };
    let form = Form::new()
        .with("amount", units)
        .with("currency", amount::currency(order.amount))
        .with("customer", customer)
        .with("payment_method", method)
        .with("payment_method_types[0]", "card")
        .with("off_session", "true")
        .with("confirm", "true")
        .metadata("charge", &order.charge)
        .metadata("provider", &order.provider)
        .metadata("description", &order.description);
    match rail.client.post::<PaymentIntent>("v1/payment_intents", &form, order.charge.as_str()).await {
        Ok(intent) => settle(rail, order, intent).await,
        Err(StripeError::Card { code, intent: Some(intent), .. }) if code == AUTHENTICATION_REQUIRED => {
            store::answered(&rail.db, order.charge.as_str(), &intent.id).await?;
            Ok(RailOutcome::RequiresAction)
        }
        Err(StripeError::Card { code, message, intent }) => match intent {
            Some(intent) => over(rail, order, &intent.id, &code, &message).await,
            None => Ok(declined(&code, &message)),
        },
        Err(StripeError::Refused { code, message }) => Ok(declined(&code, &message)),
        Err(StripeError::Missing { .. }) => Ok(declined("card_unknown", "the processor does not know this card")),
        Err(e) => Err(e.into()),
    }
}

pub async fn confirm(rail: &StripeRail, order: &RailOrder, back: &str) -> Result<Confirmation, RailError> {
    let Some(id) = known(rail, order).await? else { return capture(rail, order).await.map(Confirmation::Ended) };
    let mut intent = retrieve(rail, &id).await?;
    if intent.status == "requires_payment_method" && wants_person(&intent) {
        let Some((_, method)) = method_of(&order.method) else { return Err(odd("the charge has no card")) };
        let form = Form::new().with("payment_method", method).with("return_url", back);
        let confirmed = rail.client.post::<PaymentIntent>(&format!("v1/payment_intents/{id}/confirm"), &form, &key(order, "confirm")).await;
        intent = match confirmed {
            Ok(intent) => intent,
            Err(StripeError::Card { code, message, .. }) => {
                return over(rail, order, &id, &code, &message).await.map(Confirmation::Ended);
            }
            Err(e) => return Err(e.into()),
        };
    }
    if intent.status != "requires_action" {
        return settle(rail, order, intent).await.map(Confirmation::Ended);
    }
    let page = intent.next_action.and_then(|action| action.redirect_to_url).and_then(|redirect| redirect.url);
    page.map(|url| Confirmation::Page { url }).ok_or_else(|| odd("the bank's page cannot be reached by a link"))
}

pub async fn cancel(rail: &StripeRail, order: &RailOrder) -> Result<RailOutcome, RailError> {
    match known(rail, order).await? {
        Some(id) => over(rail, order, &id, "confirmation_expired", "nobody confirmed the payment with the bank in time").await,
        None => capture(rail, order).await,
    }
}

/// Stripe's id of the order's intent, if there is one. A repetition within the life of the key needs none.
async fn known(rail: &StripeRail, order: &RailOrder) -> Result<Option<String>, RailError> {
    let asked = store::ask(&rail.db, &rail.env, order.charge.as_str()).await?;
    if asked.object.is_some() || rail.env.now() < asked.asked_at.plus_secs(KEY_LIFE_S) {
        return Ok(asked.object);
    }
    let Some((customer, _)) = method_of(&order.method) else { return Ok(None) };
    let query = Form::new().with("customer", customer).with("limit", LOOK).with("created[gte]", asked.asked_at.as_secs() - 60);
    let intents: List<PaymentIntent> = rail.client.get("v1/payment_intents", &query).await?;
    let found = intents.data.into_iter().find(|intent| intent.metadata.get("charge").is_some_and(|id| id == order.charge.as_str()));
    if let Some(intent) = &found {
        store::answered(&rail.db, order.charge.as_str(), &intent.id).await?;
    }
    Ok(found.map(|intent| intent.id))
}

async fn retrieve(rail: &StripeRail, id: &str) -> Result<PaymentIntent, RailError> {
    Ok(rail.client.get(&format!("v1/payment_intents/{id}"), &Form::new()).await?)
}

/// What an intent's state means for the order.
async fn settle(rail: &StripeRail, order: &RailOrder, intent: PaymentIntent) -> Result<RailOutcome, RailError> {
    store::answered(&rail.db, order.charge.as_str(), &intent.id).await?;
    match intent.status.as_str() {
        "succeeded" => Ok(RailOutcome::Captured { reference: intent.id }),
        "requires_action" => Ok(RailOutcome::RequiresAction),
        "requires_payment_method" if wants_person(&intent) => Ok(RailOutcome::RequiresAction),
        "requires_payment_method" => {
            let (code, message) = why(&intent);
            over(rail, order, &intent.id, &code, &message).await
        }
        "canceled" => Ok(ended(&intent)),
        other => Err(odd(format!("the payment intent is `{other}`"))),
    }
}

/// Cancels the intent and says why the order is declined; captured, when the person was faster.
async fn over(rail: &StripeRail, order: &RailOrder, id: &str, code: &str, message: &str) -> Result<RailOutcome, RailError> {
    store::answered(&rail.db, order.charge.as_str(), id).await?;
    let form = Form::new();
    let cancelled = rail.client.post::<PaymentIntent>(&format!("v1/payment_intents/{id}/cancel"), &form, &key(order, "cancel")).await;
    let intent = match cancelled {
        Ok(intent) => intent,
        // It has ended already, one way or the other.
        Err(StripeError::Refused { .. }) => retrieve(rail, id).await?,
        Err(e) => return Err(e.into()),
    };
    match intent.status.as_str() {
        "succeeded" => Ok(RailOutcome::Captured { reference: intent.id }),
        "canceled" => Ok(declined(code, message)),
        other => Err(odd(format!("a payment intent that was cancelled is `{other}`"))),
    }
}

fn ended(intent: &PaymentIntent) -> RailOutcome {
    let (code, message) = why(intent);
    declined(&code, &message)
}

fn why(intent: &PaymentIntent) -> (String, String) {
    let error = intent.last_payment_error.clone().unwrap_or_default();
    let code = match (error.code.as_deref(), error.decline_code.as_deref()) {
        (Some("payment_intent_authentication_failure"), _) => "authentication_failed",
        (Some("card_declined"), Some(bank)) if bank != "generic_decline" => bank,
        (Some(code), _) => code,
        (None, _) => "canceled",
    };
    (code.to_owned(), error.message.unwrap_or_else(|| "the payment was not made".to_owned()))
}

/// An intent that was confirmed without the person, whom the bank wants.
fn wants_person(intent: &PaymentIntent) -> bool {
    let error = intent.last_payment_error.as_ref();
    error.is_some_and(|e| [&e.code, &e.decline_code].into_iter().any(|code| code.as_deref() == Some(AUTHENTICATION_REQUIRED)))
}

fn declined(code: &str, message: &str) -> RailOutcome {
    RailOutcome::Declined { code: code.to_owned(), message: message.to_owned() }
}

fn key(order: &RailOrder, what: &str) -> String {
    format!("{}/{what}", order.charge)
}
