//! The buying part of a purchase, for a new resource and for one that changes: money that is set aside, and the provider's sealed
//! permission to take it.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use purser_authority::action::ResourceAdd;
use purser_authority::{Attempt, Caller, Done, Permit};
use purser_db::{DbError, Tx};
use purser_flow::StepError;
use purser_identity::approval::used_for;
use purser_identity::{CallContext, standing};
use purser_spend::hold::{self, Purchase};
use purser_spend::{Spender, token};
use purser_spend::{budget, charge};
use purser_values::Secret;
use purser_values::error::Kind;
use purser_values::id::{ApprovalId, HoldId, ResourceId};
use purser_wire::quote::Quote;
use purser_wire::resource::PaymentCredentials;

use super::afford::{budget_says, share};
use super::permit_on;
use super::quoted::{accepted, by_credit};
use crate::app::App;
use crate::charges::confirm_page;
use crate::error::{OpError, PayError};
use crate::fault::permanent;
use crate::store::payment;
use crate::store::resource::Resource;
use crate::till::Order;
use crate::till::Prepared;

/// Time between two looks at a payment that waits for its person, in milliseconds.
const BANK_LOOK_MS: u64 = 500;

/// The permit to buy, from what is true now.
pub fn permit(tx: &mut Tx<'_>, app: &App, caller: &Caller, row: &Resource) -> Result<(Permit<ResourceAdd>, CallContext), OpError> {
    let now = app.core.env.now();
    let standing = standing(tx, now, caller)?;
    Ok((permit_on::<ResourceAdd>(&standing, row, now)?, standing))
}

/// What a purchase is of, for the parts of it that run in the write.
pub struct Bought {
    pub app: App,
    pub caller: Caller,
    /// The resource as it is to be.
    pub row: Resource,
    pub quote: Quote,
    /// The same purchase under the same key is one hold.
    pub key: String,
    pub approval: Option<ApprovalId>,
    pub categories: Vec<String>,
}

impl Bought {
    /// Sets the money aside and makes the provider's permission to take it, in one write. Answers the hold and the sealed token.
    pub async fn pay(self) -> Result<(HoldId, String), StepError> {
        let (app, attempt) = (self.app.clone(), Attempt::new("purchase_hold", &self.caller, self.row.id.as_str()));
        let prepare = Arc::new(self);
        let complete = prepare.clone();
        let order = Order {
            attempt,
            prepare: Box::new(move |tx| prepare.purchase(tx)),
            complete: Box::new(move |tx, hold| complete.token(tx, &hold.id)),
        };
        app.till.take(&app.core, order).await.map_err(|e| StepError::of(&e))
    }

    /// The purchase and the right to make it, from what is true now.
    fn purchase(&self, tx: &mut Tx<'_>) -> Result<Prepared, PayError> {
        let Self { app, row, .. } = self;
        let (held, standing) = permit(tx, app, &self.caller, row)?;
        let granted = standing.grant.as_ref().is_some_and(|grant| grant.irreversible);
        let approved = match &self.approval {
            Some(id) => used_for(tx, app.core.env.now(), id, row.id.as_str())?.is_some(),
            None => false,
        };
        let irreversible_allowed = granted || approved;
        let purchase = Purchase {
            spender: Spender { organisation: row.organisation.clone(), agent: row.agent.clone() },
            grant: row.grant.clone(),
            total: standing.grant.as_ref().and_then(|grant| grant.total),
            above: standing.links.iter().skip(1).map(share).collect(),
            provider: row.provider.clone(),
            project: row.project_name.clone(),
            environment: row.environment.clone(),
            categories: self.categories.clone(),
            resource: row.id.clone(),
            quote: accepted(&self.quote)?,
            by_credit: by_credit(&self.quote),
            irreversible_allowed,
            key: self.key.clone(),
            limits_url: app.page("/limits"),
            card_url: app.page("/card"),
        };
        // A budget may have been spent since the agent asked; what it set aside before that, it has.
        let asks = !approved && hold::of_resource(tx, &row.id)?.iter().all(|held| held.quote_digest != self.quote.digest);
        if asks && let Some(spent) = budget_says(tx, app, &purchase)? {
            return Err(spent.into());
        }
        let alone = asks && budget::is_watched(tx, &purchase)?;
        Ok(Prepared { permit: held, purchase, alone })
    }

    /// The provider's permission to take what is held, sealed. A repetition finds the token there; its sealed text went down with the
    /// same write as the token itself.
    fn token(&self, tx: &mut Tx<'_>, hold: &HoldId) -> Result<Done<String>, PayError> {
        let Self { app, row, .. } = self;
        if token::of_hold(tx, hold)?.is_some() {
            let sealed = payment::text(tx, &row.id)?.ok_or_else(|| OpError::Invalid("the payment token's text is gone".to_owned()))?;
            return Ok(Done::quiet(sealed));
        }
        let (issuing, _) = permit(tx, app, &self.caller, row)?;
        let issued = token::issue(tx, &app.core.env, &issuing, hold)?;
        let sealed = app.core.keyring.seal(&app.core.env, &token_aad(&row.id), issued.value.plain.expose().as_bytes());
        let sealed = STANDARD.encode(sealed.map_err(|e| OpError::Invalid(e.to_string()))?);
        payment::keep(tx, &row.id, &sealed)?;
        Ok(issued.map(|_| sealed))
    }
}

/// The sealed token as the provider is given it.
pub fn credentials(app: &App, resource: &ResourceId, sealed: &str) -> Result<PaymentCredentials, StepError> {
    let unusable = |e: &dyn std::fmt::Display| permanent("request_unusable", Kind::Internal, e.to_string(), None);
    let bytes = STANDARD.decode(sealed).map_err(|e| unusable(&e))?;
    let plain = app.core.keyring.open_text(&token_aad(resource), &bytes).map_err(|e| unusable(&e))?;
    Ok(PaymentCredentials::StripePaymentToken(Secret::new(plain.expose().clone())))
}

/// Whether a charge of the purchase waits for its person, and what whoever looks at the saga is told of it.
pub async fn for_the_bank(app: &App, hold: &HoldId, row: &Resource) -> Result<Option<StepError>, StepError> {
    let (hold, organisation, person) = (hold.clone(), row.organisation.clone(), row.person.clone());
    let read = app.core.db.read::<_, DbError, _>(move |tx| {
        let Some(waiting) = charge::waiting_of_hold(tx, &hold)? else { return Ok(None) };
        Ok(Some((waiting, purser_identity::person::member(tx, &organisation, &person)?)))
    });
    let Some((waiting, member)) = read.await.map_err(StepError::transient)? else { return Ok(None) };
    let on = serde_json::json!({
        "for": "payment_confirmation", "charge": waiting.charge, "provider": waiting.provider, "amount": waiting.amount,
        "url": confirm_page(app, &waiting.charge), "person": {"id": row.person, "email": member.map(|m| m.person.email)},
        "expires_at": waiting.until,
    });
    Ok(Some(StepError::Waiting { on, after_ms: BANK_LOOK_MS }))
}

/// What the sealed token is bound to.
pub fn token_aad(resource: &ResourceId) -> String {
    format!("payment_token/{resource}")
}
