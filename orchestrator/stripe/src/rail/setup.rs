//! A card is put on file: on Stripe's own page, for our organisation's customer.

use purser_spend::method::RailMethod;
use purser_spend::rail::{RailError, SetupOrder, SetupOutcome, SetupPage};
use purser_values::id::OrganisationId;

use super::{NAME, StripeRail, method_of, odd};
use crate::error::StripeError;
use crate::form::Form;
use crate::object::{CheckoutSession, Customer, Expandable, PaymentMethod, SetupIntent};
use crate::store;

/// How a setup intent of ours is told from a Checkout session.
const SETUP_INTENT: &str = "seti_";

pub async fn open(rail: &StripeRail, order: &SetupOrder) -> Result<SetupPage, RailError> {
    let customer = customer(rail, &order.organisation).await?;
    let form = Form::new()
        .with("mode", "setup")
        .with("customer", &customer)
        .with("payment_method_types[0]", "card")
        .with("success_url", &order.back)
        .with("cancel_url", &order.back)
        .with("client_reference_id", &order.setup)
        .metadata("setup", &order.setup)
        .with("setup_intent_data[metadata][setup]", &order.setup);
    match rail.client.post::<CheckoutSession>("v1/checkout/sessions", &form, order.setup.as_str()).await {
        Ok(session) => {
            let url = session.url.ok_or_else(|| odd("the Checkout session has no page"))?;
            Ok(SetupPage { reference: session.id, url })
        }
        Err(StripeError::Missing { .. }) => without_checkout(rail, order, &customer).await,
        Err(e) => Err(e.into()),
    }
}

/// An API without Checkout. The card reaches the setup intent by whatever page that installation has.
async fn without_checkout(rail: &StripeRail, order: &SetupOrder, customer: &str) -> Result<SetupPage, RailError> {
    let form = Form::new()
        .with("customer", customer)
        .with("usage", "off_session")
        .with("payment_method_types[0]", "card")
        .metadata("setup", &order.setup);
    let intent: SetupIntent = rail.client.post("v1/setup_intents", &form, order.setup.as_str()).await?;
    Ok(SetupPage { url: rail.client.page(&format!("v1/setup_intents/{}", intent.id))?, reference: intent.id })
}

async fn customer(rail: &StripeRail, organisation: &OrganisationId) -> Result<String, RailError> {
    if let Some(known) = store::customer(&rail.db, organisation).await? {
        return Ok(known);
    }
    let form = Form::new().metadata("organisation", organisation);
    let made: Customer = rail.client.post("v1/customers", &form, &format!("{organisation}/customer")).await?;
    store::keep_customer(&rail.db, organisation, &made.id).await?;
    Ok(made.id)
}

pub async fn outcome(rail: &StripeRail, reference: &str) -> Result<SetupOutcome, RailError> {
    if reference.starts_with(SETUP_INTENT) {
        let query = Form::new().with("expand[0]", "payment_method");
        let intent: SetupIntent = rail.client.get(&format!("v1/setup_intents/{reference}"), &query).await?;
        let customer = intent.customer.clone();
        return of_intent(intent, customer);
    }
    let query = Form::new().with("expand[0]", "setup_intent.payment_method");
    let session: CheckoutSession = rail.client.get(&format!("v1/checkout/sessions/{reference}"), &query).await?;
    match session.status.as_deref() {
        Some("complete") => {
            let intent = session.setup_intent.and_then(Expandable::object).ok_or_else(|| odd("a complete session has no setup intent"))?;
            of_intent(intent, session.customer)
        }
        Some("expired") => Ok(SetupOutcome::Failed),
        _ => Ok(SetupOutcome::Open),
    }
}

fn of_intent(intent: SetupIntent, customer: Option<String>) -> Result<SetupOutcome, RailError> {
    match intent.status.as_str() {
        "succeeded" => {
            let method = intent.payment_method.and_then(Expandable::object).ok_or_else(|| odd("the setup has no payment method"))?;
            let customer = customer.ok_or_else(|| odd("the setup has no customer"))?;
            Ok(match method.card {
                Some(card) => SetupOutcome::Done(RailMethod {
                    rail: NAME.to_owned(),
                    reference: format!("{customer}/{}", method.id),
                    brand: card.brand,
                    last4: card.last4,
                    needs_authentication: false,
                }),
                None => SetupOutcome::Failed,
            })
        }
        "canceled" => Ok(SetupOutcome::Failed),
        _ => Ok(SetupOutcome::Open),
    }
}

/// A method that Stripe does not know, or has forgotten, is forgotten.
pub async fn forget(rail: &StripeRail, reference: &str) -> Result<(), RailError> {
    let Some((_, method)) = method_of(reference) else { return Ok(()) };
    let path = format!("v1/payment_methods/{method}/detach");
    match rail.client.post::<PaymentMethod>(&path, &Form::new(), &format!("{method}/detach")).await {
        Ok(_) | Err(StripeError::Missing { .. } | StripeError::Refused { .. }) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
