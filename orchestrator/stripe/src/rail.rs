//! Stripe as a [`Rail`].

mod payment;
mod refund;
mod setup;
mod token;

use purser_db::Db;
use purser_spend::rail::{
    Confirmation, Rail, RailError, RailEvent, RailFuture, RailOrder, RefundOrder, RefundOutcome, SellerToken, SellerTokenOrder,
    SellerTokenUse, SetupOrder, SetupOutcome, SetupPage, WebhookError,
};
use purser_values::{Env, Secret, Timestamp};

use crate::client::{Client, Settings, Tokens};
use crate::webhook;

pub const NAME: &str = "stripe";

/// How long Stripe is sure to know an idempotency key, in seconds; it promises a day.
const KEY_LIFE_S: i64 = 20 * 3600;

/// One account at Stripe.
pub struct StripeRail {
    client: Client,
    db: Db,
    env: Env,
    webhook_secrets: Vec<Secret<String>>,
    tokens: Tokens,
}

impl StripeRail {
    /// # Errors
    /// When the address cannot be used.
    pub fn new(db: Db, env: Env, settings: Settings) -> Result<Self, String> {
        let client = Client::new(&settings)?;
        Ok(Self { client, db, env, webhook_secrets: settings.webhook_secrets, tokens: settings.tokens })
    }
}

impl Rail for StripeRail {
    fn name(&self) -> &'static str {
        NAME
    }

    fn set_up<'a>(&'a self, order: &'a SetupOrder) -> RailFuture<'a, SetupPage> {
        Box::pin(setup::open(self, order))
    }

    fn set_up_outcome<'a>(&'a self, reference: &'a str) -> RailFuture<'a, SetupOutcome> {
        Box::pin(setup::outcome(self, reference))
    }

    fn forget<'a>(&'a self, method: &'a str) -> RailFuture<'a, ()> {
        Box::pin(setup::forget(self, method))
    }

    fn capture<'a>(&'a self, order: &'a RailOrder) -> RailFuture<'a> {
        Box::pin(payment::capture(self, order))
    }

    fn confirm<'a>(&'a self, order: &'a RailOrder, back: &'a str) -> RailFuture<'a, Confirmation> {
        Box::pin(payment::confirm(self, order, back))
    }

    fn cancel<'a>(&'a self, order: &'a RailOrder) -> RailFuture<'a> {
        Box::pin(payment::cancel(self, order))
    }

    fn refund<'a>(&'a self, order: &'a RefundOrder) -> RailFuture<'a, RefundOutcome> {
        Box::pin(refund::refund(self, order))
    }

    fn has_seller_tokens(&self) -> bool {
        self.tokens == Tokens::Auto
    }

    fn seller_token<'a>(&'a self, order: &'a SellerTokenOrder) -> RailFuture<'a, SellerToken> {
        Box::pin(token::issue(self, order))
    }

    fn seller_token_revoke<'a>(&'a self, reference: &'a str) -> RailFuture<'a, ()> {
        Box::pin(token::revoke(self, reference))
    }

    fn seller_token_use<'a>(&'a self, reference: &'a str) -> RailFuture<'a, SellerTokenUse> {
        Box::pin(token::usage(self, reference))
    }

    fn receive(&self, signature: &str, body: &[u8], now: Timestamp) -> Result<Option<RailEvent>, WebhookError> {
        webhook::receive(&self.webhook_secrets, signature, body, now)
    }
}

/// A payment method as we keep it: Stripe's customer and its method, which go together.
fn method_of(reference: &str) -> Option<(&str, &str)> {
    reference.split_once('/')
}

/// What Stripe cannot say; it is asked again.
fn odd(what: impl Into<String>) -> RailError {
    RailError(what.into())
}
