//! What stands against paying for a service, before there is a quote: asked with the listed price, which no quote may pass.

use purser_authority::Caller;
use purser_catalogue::{Listing, Period, Price};
use purser_db::{DbError, Tx};
use purser_identity::CallContext;
use purser_identity::grant::Link;
use purser_spend::hold::{self, HoldError, Purchase};
use purser_spend::quote::{Line, Quote, Recurs};
use purser_spend::{Share, Spender};
use purser_values::Sha256Digest;
use purser_values::id::ResourceId;

use super::add::AddRequest;
use crate::app::App;

/// Card and cap, all at once. Sets nothing aside; what is free and whoever is no agent has nothing to pay.
pub fn blockers(
    tx: &mut Tx<'_>,
    app: &App,
    standing: &CallContext,
    request: &AddRequest,
    listing: &Listing,
) -> Result<Vec<HoldError>, DbError> {
    let Price::Known { amount, period, irreversible, .. } = &listing.price else { return Ok(Vec::new()) };
    let Caller::Agent { agent, grant, organisation, .. } = &standing.caller else { return Ok(Vec::new()) };
    if !amount.is_positive() {
        return Ok(Vec::new());
    }
    let recurs = match period {
        Period::Once => Recurs::Once,
        Period::Month => Recurs::Month,
        Period::Year => Recurs::Year,
    };
    let line = Line { id: "listed".to_owned(), description: listing.description.clone(), amount: *amount, recurs };
    let purchase = Purchase {
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
        irreversible_allowed: standing.grant.as_ref().is_none_or(|grant| grant.irreversible),
        key: String::new(),
        limits_url: app.page("/limits"),
        card_url: app.page("/card"),
    };
    hold::blockers(tx, &app.core.env, &purchase)
}

/// An agent that pays along, in the ledger's words.
pub fn share(link: &Link) -> Share {
    Share { agent: link.agent.clone(), grant: link.grant.clone(), total: link.total }
}
