//! Quotes, as the orchestrator takes them: what is asked for, what must not differ from the listing, and the ledger's words for it.

use std::collections::BTreeMap;

use purser_catalogue::Price;
use purser_flow::StepError;
use purser_spend::limits::HOLD_LIFE_S;
use purser_spend::quote::{Line, Quote as AcceptedQuote, Recurs};
use purser_values::Money;
use purser_values::error::Kind;
use purser_values::id::ApprovalId;
use purser_wire::catalog::Period;
use purser_wire::limits::APPROVED_LINE;
use purser_wire::manifest::Extension;
use purser_wire::quote::{Parties, Quote, QuoteLine, QuoteRequest, QuoteTerms};

use crate::app::App;
use crate::catalogue::binds;
use crate::error::OpError;
use crate::fault::permanent;
use crate::gateway::Provider;
use crate::store::account;
use crate::store::resource::Resource;

/// Between whom the quote is, for a provider that says so in it.
pub async fn parties(app: &App, row: &Resource, provider: &Provider) -> Result<Option<Parties>, StepError> {
    if !provider.manifest.speaks(&Extension::QuoteParties) {
        return Ok(None);
    }
    let (organisation, name) = (row.organisation.clone(), row.provider.clone());
    let found = app.core.db.read(move |tx| account::find(tx, &organisation, &name)).await.map_err(StepError::transient)?;
    let payer = found.and_then(|account| account.provider_account).and_then(|id| id.parse().ok());
    let payer = payer.ok_or_else(|| permanent("account_lost", Kind::Internal, "the provider's account does not read back", None))?;
    Ok(Some(Parties { provider: row.provider.clone(), payer }))
}

/// A quote of our own, of one line, for a provider that gives none: it binds the request and the most that was approved.
pub fn said(app: &App, approval: &ApprovalId, request: &QuoteRequest, price: &Price) -> Result<Quote, StepError> {
    let unusable = |e: &dyn std::fmt::Display| permanent("request_unusable", Kind::Internal, e.to_string(), None);
    let Price::Known { amount, period, .. } = price else { return Err(unusable(&"there is no price")) };
    let line = QuoteLine {
        id: APPROVED_LINE.to_owned().try_into().map_err(|e| unusable(&e))?,
        description: request.service_id.to_string(),
        amount: *amount,
        period: wire_period(*period),
        credit_minor: 0,
    };
    let expires_at = app.core.env.now().plus_secs(HOLD_LIFE_S);
    let terms = QuoteTerms { irreversible: true, refundable: false, expires_at };
    let id = approval.as_str().parse().map_err(|e| unusable(&e))?;
    Quote::new(id, request, amount.currency(), vec![line], terms).map_err(|e| unusable(&e))
}

const fn wire_period(period: purser_catalogue::Period) -> Period {
    match period {
        purser_catalogue::Period::Once => Period::Once,
        purser_catalogue::Period::Month => Period::Month,
        purser_catalogue::Period::Year => Period::Year,
    }
}

/// The catalogue told the person and the agent what it costs; a dearer quote, or another one, is another purchase.
pub fn check(price: &Price, quote: &Quote) -> Result<(), StepError> {
    let changed = |what: String, hint| Err(permanent("price_changed", Kind::Conflict, what, Some(hint)));
    if let Price::Known { amount, .. } = price
        && (quote.currency != amount.currency() || quote.total_minor > amount.minor())
    {
        let message = format!("the provider quotes {} for what it lists at {amount}", quote.total());
        return changed(message, "run `purser catalog` for today's price, then repeat");
    }
    differs(price, quote).map_or(Ok(()), |what| changed(what, "run `purser catalog` for today's terms, then repeat"))
}

/// What a quote asks for beyond the listing: money that comes again where it does not, or sooner, or that cannot be undone.
fn differs(price: &Price, quote: &Quote) -> Option<String> {
    let Price::Known { period, irreversible, metered, .. } = price else { return None };
    let listed = wire_period(*period);
    let by_use = |line: &&purser_wire::quote::QuoteLine| line.period == Period::Metered;
    if quote.lines.iter().any(|line| by_use(&line) && (metered.is_empty() || !line.amount.is_zero())) {
        return Some("the provider quotes metered use for what it lists without a price for use".to_owned());
    }
    if let Some(line) = quote.lines.iter().find(|line| line.period != Period::Once && line.period != listed && !by_use(line)) {
        return Some(format!("the provider quotes a price per {} for what it lists per {listed}", line.period));
    }
    (final_for_us(quote) && !irreversible).then(|| "the provider quotes as final what it lists as refundable".to_owned())
}

/// Whether the quoted purchase cannot be undone: it says so, or it binds for a year that is not given back.
pub fn final_for_us(quote: &Quote) -> bool {
    quote.irreversible
        || quote.lines.iter().any(|line| line.period == Period::Year && binds(purser_catalogue::Period::Year, quote.refundable))
}

pub fn quote_request(row: &Resource, parties: Option<Parties>) -> Result<QuoteRequest, StepError> {
    let unusable = |e: &dyn std::fmt::Display| permanent("request_unusable", Kind::Internal, e.to_string(), None);
    Ok(QuoteRequest {
        service_id: row.service.as_str().parse().map_err(|e| unusable(&e))?,
        configuration: row.configuration.as_object().cloned().unwrap_or_default(),
        project_id: Some(row.project.as_str().parse().map_err(|e| unusable(&e))?),
        resource_id: None,
        parties,
    })
}

/// The whole price of each line that a credit at the provider pays a part of.
pub fn by_credit(quote: &Quote) -> BTreeMap<String, Money> {
    quote.lines.iter().filter(|line| line.credit_minor > 0).map(|line| (line.id.to_string(), line.amount)).collect()
}

/// The quote in the ledger's words: of each line what the token may be charged.
pub fn accepted(quote: &Quote) -> Result<AcceptedQuote, OpError> {
    let line = |line: &purser_wire::quote::QuoteLine| {
        let recurs = match line.period {
            Period::Once => Recurs::Once,
            Period::Month => Recurs::Month,
            Period::Year => Recurs::Year,
            Period::Metered => Recurs::Metered,
            Period::Other(_) => return Err(OpError::Invalid("the quote has a period that is not known".to_owned())),
        };
        Ok(Line { id: line.id.to_string(), description: line.description.clone(), amount: line.charged(), recurs })
    };
    Ok(AcceptedQuote {
        id: quote.id.to_string(),
        digest: quote.digest,
        lines: quote.lines.iter().map(line).collect::<Result<_, _>>()?,
        irreversible: final_for_us(quote),
    })
}
