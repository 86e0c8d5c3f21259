//! What stands against paying for a service, before there is a quote: asked with the listed price, which no quote may pass.

use std::collections::BTreeMap;

use purser_authority::Caller;
use purser_catalogue::{Listing, Period, Price};
use purser_db::{DbError, Tx};
use purser_identity::CallContext;
use purser_identity::grant::Link;
use purser_spend::budget::{self, Spent};
use purser_spend::ceiling::Scope;
use purser_spend::hold::{self, HoldError, Purchase};
use purser_spend::quote::{Line, Quote, Recurs};
use purser_spend::{Percent, Share, Spender, credit};
use purser_values::id::ResourceId;
use purser_values::{Money, Sha256Digest};

use super::add::AddRequest;
use crate::app::App;
use crate::error::OpError;

/// Card and cap, all at once. Sets nothing aside; what is free and whoever is no agent has nothing to pay.
pub fn blockers(
    tx: &mut Tx<'_>,
    app: &App,
    standing: &CallContext,
    request: &AddRequest,
    listing: &Listing,
) -> Result<Vec<HoldError>, DbError> {
    match listed(app, standing, request, listing) {
        Some(mut purchase) => {
            less_credit(tx, app, &mut purchase)?;
            hold::blockers(tx, &app.core.env, &purchase)
        }
        None => Ok(Vec::new()),
    }
}

/// A budget that covers the purchase and is spent, so that a person says yes to it first.
pub fn spent_budget(
    tx: &mut Tx<'_>,
    app: &App,
    standing: &CallContext,
    request: &AddRequest,
    listing: &Listing,
) -> Result<Option<OpError>, DbError> {
    match listed(app, standing, request, listing) {
        Some(purchase) => budget_says(tx, app, &purchase),
        None => Ok(None),
    }
}

/// The same for a purchase with its quote.
pub fn budget_says(tx: &mut Tx<'_>, app: &App, purchase: &Purchase) -> Result<Option<OpError>, DbError> {
    let spent = budget::gate(tx, &app.core.env, purchase)?;
    Ok(spent.map(|Spent { budget, span, spent, held, passing }| {
        let over = match budget.scope {
            Scope::Organisation => "the organisation".to_owned(),
            scope => format!("the {} `{}`", scope.name(), budget.subject),
        };
        let aside = if held.is_positive() { format!(" and {held} set aside") } else { String::new() };
        OpError::BudgetSpent(match passing {
            Some(asked) => {
                let act_at = if budget.act_at == Percent::whole(100) { String::new() } else { format!("{} % of ", budget.act_at) };
                format!(
                    "{asked} more would pass {act_at}the budget of {} for {over}, of which {spent} is spent{aside} ({span})",
                    budget.amount
                )
            }
            None => format!("{spent} of the budget of {} for {over} is spent{aside} ({span})", budget.amount),
        })
    }))
}

/// What a credit at the provider is known to pay takes no room. The provider's quote has the last word.
fn less_credit(tx: &mut Tx<'_>, app: &App, purchase: &mut Purchase) -> Result<(), DbError> {
    let (organisation, provider) = (purchase.spender.organisation.clone(), purchase.provider.clone());
    for line in &mut purchase.quote.lines {
        let left = credit::left(tx, &organisation, &provider, line.amount.currency(), app.core.env.now())?;
        if left.is_positive() {
            purchase.by_credit.insert(line.id.clone(), line.amount);
            line.amount = Money::from_minor((line.amount.minor() - left.minor()).max(0), line.amount.currency());
        }
    }
    Ok(())
}

/// The purchase at its listed price.
fn listed(app: &App, standing: &CallContext, request: &AddRequest, listing: &Listing) -> Option<Purchase> {
    let Price::Known { amount, period, irreversible, .. } = &listing.price else { return None };
    let Caller::Agent { agent, grant, organisation, .. } = &standing.caller else { return None };
    if !amount.is_positive() {
        return None;
    }
    let recurs = match period {
        Period::Once => Recurs::Once,
        Period::Month => Recurs::Month,
        Period::Year => Recurs::Year,
    };
    let line = Line { id: "listed".to_owned(), description: listing.description.clone(), amount: *amount, recurs };
    Some(Purchase {
        spender: Spender { organisation: organisation.clone(), agent: agent.clone() },
        grant: grant.clone(),
        total: standing.grant.as_ref().and_then(|grant| grant.total),
        above: standing.links.iter().skip(1).map(share).collect(),
        provider: request.service.provider.clone(),
        project: request.project.clone(),
        environment: request.environment.clone(),
        categories: listing.categories.clone(),
        resource: ResourceId::mint(&app.core.env),
        quote: Quote { id: "listed".to_owned(), digest: Sha256Digest::of(b""), lines: vec![line], irreversible: *irreversible },
        by_credit: BTreeMap::new(),
        irreversible_allowed: standing.grant.as_ref().is_none_or(|grant| grant.irreversible),
        key: String::new(),
        limits_url: app.page("/limits"),
        card_url: app.page("/card"),
    })
}

/// An agent that pays along, in the ledger's words.
pub fn share(link: &Link) -> Share {
    Share { agent: link.agent.clone(), grant: link.grant.clone(), total: link.total }
}
