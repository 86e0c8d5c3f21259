//! Shared payment tokens: a permission for one seller's account at Stripe to charge the card, within limits that Stripe keeps too.

use purser_spend::rail::{RailError, SellerToken, SellerTokenOrder};
use purser_values::Secret;

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
        .with("usage_limits[expires_at]", order.expires_at.as_secs());
    match rail.client.post_as::<IssuedToken>(TOKENS_VERSION, PATH, &form, order.token.as_str()).await {
        Ok(issued) => Ok(SellerToken::Issued { plain: Secret::new(issued.id.clone()), reference: issued.id }),
        Err(StripeError::Missing { code }) if code != MISSING_OBJECT => Ok(SellerToken::NotOffered),
        Err(e) => Err(e.into()),
    }
}

pub async fn revoke(rail: &StripeRail, reference: &str) -> Result<(), RailError> {
    let path = format!("{PATH}/{reference}/revoke");
    match rail.client.post_as::<IssuedToken>(TOKENS_VERSION, &path, &Form::new(), &format!("{reference}/revoke")).await {
        Ok(_) | Err(StripeError::Missing { .. } | StripeError::Refused { .. }) => Ok(()),
        Err(e) => Err(e.into()),
    }
}
