//! Shared payment tokens: a permission for one seller's account at Stripe to charge the card, within limits that Stripe keeps too.
//!
//! Source: Stripe's API reference, "Shared Payment Issued Token" (create, retrieve, revoke, the object).

use purser_spend::rail::{RailError, SellerToken, SellerTokenOrder, SellerTokenUse};
use purser_values::{Currency, Money, Secret, Timestamp};

use super::{StripeRail, method_of, odd};
use crate::amount;
use crate::client::{TOKENS_VERSION, Tokens};
use crate::error::StripeError;
use crate::form::Form;
use crate::object::IssuedToken;

const PATH: &str = "v1/shared_payment/issued_tokens";
/// What is missing where the account has the tokens and not the card.
const MISSING_OBJECT: &str = "resource_missing";

pub async fn issue(rail: &StripeRail, order: &SellerTokenOrder) -> Result<SellerToken, RailError> {
    let (Tokens::Auto, Some(most)) = (rail.tokens, amount::to_stripe(order.most)) else { return Ok(SellerToken::NotOffered) };
    let (_, method) = method_of(&order.method).ok_or_else(|| odd("the token has no card"))?;
    let form = Form::new()
        .with("payment_method", method)
        .with("seller_details[network_business_profile]", &order.seller)
        .with("usage_limits[currency]", amount::currency(order.most))
        .with("usage_limits[max_amount]", most)
        .with("usage_limits[expires_at]", order.expires_at.as_secs())
        .with("shared_metadata[charge]", &order.charge);
    match rail.client.post_as::<IssuedToken>(TOKENS_VERSION, PATH, &form, order.charge.as_str()).await {
        // A token that first wants the person in a browser is of no use to an agent.
        Ok(issued) if issued.status.as_deref() == Some("requires_action") => {
            revoke(rail, &issued.id).await?;
            Ok(SellerToken::NotOffered)
        }
        Ok(issued) => Ok(SellerToken::Issued { plain: Secret::new(issued.id.clone()), reference: issued.id }),
        Err(StripeError::Missing { code }) if code != MISSING_OBJECT => Ok(SellerToken::NotOffered),
        Err(StripeError::Missing { code }) => Ok(SellerToken::Refused { code, message: "the processor does not know the card".to_owned() }),
        Err(StripeError::Card { code, message, .. } | StripeError::Refused { code, message }) => Ok(SellerToken::Refused { code, message }),
        Err(e) => Err(e.into()),
    }
}

pub async fn revoke(rail: &StripeRail, reference: &str) -> Result<(), RailError> {
    let path = format!("{PATH}/{reference}/revoke");
    match rail.client.post_as::<IssuedToken>(TOKENS_VERSION, &path, &Form::new(), &format!("{reference}/revoke")).await {
        // What cannot be revoked has ended; what became of it is asked.
        Ok(_) | Err(StripeError::Missing { .. } | StripeError::Refused { .. }) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

pub async fn usage(rail: &StripeRail, reference: &str) -> Result<SellerTokenUse, RailError> {
    let issued: IssuedToken = rail.client.get_as(TOKENS_VERSION, &format!("{PATH}/{reference}"), &Form::new()).await?;
    let taken = issued.usage_details.and_then(|details| details.amount_captured).ok_or_else(|| odd("it is not said what was taken"))?;
    let currency: Currency = taken.currency.to_ascii_uppercase().parse().map_err(|_| odd("the currency is unknown"))?;
    let captured: Money = amount::from_stripe(taken.value, currency).ok_or_else(|| odd("the amount cannot be read"))?;
    let ended_at = match (issued.status.as_deref(), issued.deactivated_at) {
        (Some("deactivated"), Some(at)) => Some(Timestamp::from_secs(at)),
        (Some("deactivated"), None) => Some(rail.env.now()),
        _ => None,
    };
    Ok(SellerTokenUse { captured, ended_at })
}
