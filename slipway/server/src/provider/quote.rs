//! `quote_create`: the price of one exact request. A repeat is another quote; nothing is bought by asking.

use http::StatusCode;
use purser_provider::{Answer, ProviderError};
use purser_values::id::{CloudAccountId, QuoteId};
use purser_values::name::{DomainName, ParseNameError};
use purser_values::{Currency, Env, Money, Timestamp};
use purser_wire::catalog::Period;
use purser_wire::quote::{Quote, QuoteLine, QuoteRequest, QuoteTerms};
use serde_json::{Map, Value};
use slipway_accounts::quote::{LIFE_S, quote_put};
use slipway_accounts::service::Service;
use slipway_registrar::domain::quote::domain_quote;

use super::refusal;
use crate::cloud::Cloud;

/// Names of the lines that are charged.
const PLAN_LINE: &str = "plan";
const DOMAIN_LINE: &str = "registration";

/// Makes the quote and keeps it.
pub async fn create(cloud: &Cloud, account: CloudAccountId, request: &QuoteRequest) -> Answer<Quote> {
    let quote = make(cloud, &account, request).await?;
    let (request, kept) = (request.clone(), quote.clone());
    cloud.db.write(move |tx| quote_put(tx, &account, &request, &kept)).await.map_err(|e| refusal::store(&e))?;
    Ok(quote)
}

/// The quote, not kept yet.
pub async fn make(cloud: &Cloud, account: &CloudAccountId, request: &QuoteRequest) -> Answer<Quote> {
    let id = request.service_id.as_str();
    let service: Service = id.parse().map_err(|_| ProviderError::unknown_service(id))?;
    if request.resource_id.is_some() {
        return Err(ProviderError::not_supported("quotes for updates"));
    }
    let (lines, irreversible) = match (service, service.monthly()) {
        (Service::Domain, _) => (vec![domain_line(cloud, account, &request.configuration).await?], true),
        (_, Some(price)) if price.is_positive() => (vec![line(PLAN_LINE, format!("{service}, one month"), price, Period::Month)?], false),
        _ => (Vec::new(), false),
    };
    assemble(&cloud.env, request, lines, irreversible)
}

async fn domain_line(cloud: &Cloud, account: &CloudAccountId, configuration: &Map<String, Value>) -> Answer<QuoteLine> {
    let registrar = cloud.registrar.as_ref().ok_or_else(|| ProviderError::unknown_service(Service::Domain.id()))?;
    let name = domain_of(configuration)?;
    let quote = domain_quote(registrar, account, &name, 1).await.map_err(|e| refusal::public(&e))?;
    let description = if quote.price.is_zero() { format!("{name}, already paid") } else { format!("{name}, one year") };
    line(DOMAIN_LINE, description, quote.price, Period::Year)
}

/// The exact name that a configuration asks for.
pub fn domain_of(configuration: &Map<String, Value>) -> Answer<DomainName> {
    let text = configuration.get("domain").and_then(Value::as_str).unwrap_or_default();
    text.parse().map_err(|e: ParseNameError| ProviderError::new(StatusCode::BAD_REQUEST, "domain_invalid", e.to_string()))
}

fn line(id: &str, description: String, amount: Money, period: Period) -> Answer<QuoteLine> {
    let id = id.parse().map_err(|e: purser_wire::id::ParseWireIdError| ProviderError::internal(&e))?;
    Ok(QuoteLine { id, description, amount, period })
}

fn assemble(env: &Env, request: &QuoteRequest, lines: Vec<QuoteLine>, irreversible: bool) -> Answer<Quote> {
    let currency = lines.first().map_or(Currency::USD, |line| line.amount.currency());
    // Whole seconds, so that the digest is the same for whoever cuts fractions off.
    let expires_at = Timestamp::from_secs(env.now().as_secs() + LIFE_S);
    let terms = QuoteTerms { irreversible, refundable: false, expires_at };
    Quote::new((&QuoteId::mint(env)).into(), request, currency, lines, terms).map_err(|e| ProviderError::internal(&e))
}
