//! `quote_create`: the price of one exact request. A repeat is another quote; nothing is bought by asking.

use http::StatusCode;
use purser_provider::{Answer, ProviderError};
use purser_values::id::{CloudAccountId, QuoteId};
use purser_values::name::{DomainName, ParseNameError};
use purser_values::{Currency, Env, Money, Timestamp};
use purser_wire::catalog::Period;
use purser_wire::credit::Cover;
use purser_wire::quote::{Quote, QuoteLine, QuoteRequest, QuoteTerms};
use serde_json::{Map, Value};
use slipway_accounts::quote::{LIFE_S, quote_put};
use slipway_accounts::service::Service;
use slipway_billing::credit::spend::available;
use slipway_registrar::domain::quote::domain_quote;

use super::catalogue::PREMIUM_PRICE;
use super::refusal;
use crate::abuse::judge;
use crate::billing::{AUTO_RENEW, USAGE_LINE};
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
    if request.resource_id.is_some() && !service.is_plan() {
        return Err(ProviderError::not_supported("quotes for updates of what is not a plan"));
    }
    let (lines, irreversible) = match (service, service.monthly()) {
        (Service::Domain, _) => (vec![domain_line(cloud, account, &request.configuration).await?], true),
        (_, Some(price)) if price.is_positive() => (vec![plan_line(service, price)?, usage_line(service, price.currency())?], false),
        _ => (Vec::new(), false),
    };
    let lines = with_credit(cloud, account, service, lines).await?;
    assemble(&cloud.env, request, lines, irreversible)
}

/// What a credit has to cover to pay for a service.
pub const fn cover(service: Service) -> Cover {
    match service {
        Service::Domain => Cover::Domains,
        Service::Free | Service::Paid | Service::Workers => Cover::Plans,
    }
}

/// Says of each line how much of it the account's credit pays, as far as it reaches. Nothing is set aside by that.
async fn with_credit(cloud: &Cloud, account: &CloudAccountId, service: Service, mut lines: Vec<QuoteLine>) -> Answer<Vec<QuoteLine>> {
    let Some(currency) = lines.first().map(|line| line.amount.currency()) else { return Ok(lines) };
    let (account, now) = (account.clone(), cloud.env.now());
    let left = cloud.db.read(move |tx| available(tx, &account, &cover(service), currency, now)).await;
    let mut left = left.map_err(|e| refusal::store(&e))?.minor();
    for line in &mut lines {
        line.credit_minor = line.amount.minor().min(left);
        left -= line.credit_minor;
    }
    Ok(lines)
}

fn plan_line(service: Service, price: Money) -> Answer<QuoteLine> {
    line(PLAN_LINE, format!("{service}, one month"), price, Period::Month)
}

/// Nothing at once: what use costs beyond what the plan includes is in the catalogue.
fn usage_line(service: Service, currency: Currency) -> Answer<QuoteLine> {
    line(USAGE_LINE, format!("{service}, use beyond what it includes"), Money::zero(currency), Period::Metered)
}

async fn domain_line(cloud: &Cloud, account: &CloudAccountId, configuration: &Map<String, Value>) -> Answer<QuoteLine> {
    let registrar = cloud.registrar.as_ref().ok_or_else(|| ProviderError::unknown_service(Service::Domain.id()))?;
    let name = domain_of(configuration)?;
    judge::domain(cloud, account, &name).await.map_err(|e| refusal::abuse(&e))?;
    let quote = domain_quote(registrar, account, &name, 1, premium_of(configuration)?).await.map_err(|e| refusal::public(&e))?;
    let description = if quote.price.is_zero() { format!("{name}, already paid") } else { format!("{name}, one year") };
    // What is not renewed by itself comes once: nobody sets money aside for another year of it.
    let renews = configuration.get(AUTO_RENEW).and_then(Value::as_bool).unwrap_or(false) && !quote.price.is_zero();
    line(DOMAIN_LINE, description, quote.price, if renews { Period::Year } else { Period::Once })
}

/// The price that an order states for a premium name.
pub fn premium_of(configuration: &Map<String, Value>) -> Answer<Option<Money>> {
    let Some(stated) = configuration.get(PREMIUM_PRICE) else { return Ok(None) };
    let price = stated.as_str().and_then(|text| Money::parse_decimal(text, Currency::USD).ok()).filter(|price| price.is_positive());
    let unfit = || ProviderError::new(StatusCode::BAD_REQUEST, "invalid_configuration", "`premium_price` is an amount such as `1500.00`");
    price.map(Some).ok_or_else(unfit)
}

/// The exact name that a configuration asks for.
pub fn domain_of(configuration: &Map<String, Value>) -> Answer<DomainName> {
    let text = configuration.get("domain").and_then(Value::as_str).unwrap_or_default();
    text.parse().map_err(|e: ParseNameError| ProviderError::new(StatusCode::BAD_REQUEST, "domain_invalid", e.to_string()))
}

fn line(id: &str, description: String, amount: Money, period: Period) -> Answer<QuoteLine> {
    let id = id.parse().map_err(|e: purser_wire::id::ParseWireIdError| ProviderError::internal(&e))?;
    Ok(QuoteLine { id, description, amount, period, credit_minor: 0 })
}

fn assemble(env: &Env, request: &QuoteRequest, lines: Vec<QuoteLine>, irreversible: bool) -> Answer<Quote> {
    let currency = lines.first().map_or(Currency::USD, |line| line.amount.currency());
    // Whole seconds, so that the digest is the same for whoever cuts fractions off.
    let expires_at = Timestamp::from_secs(env.now().as_secs() + LIFE_S);
    let terms = QuoteTerms { irreversible, refundable: false, expires_at };
    Quote::new((&QuoteId::mint(env)).into(), request, currency, lines, terms).map_err(|e| ProviderError::internal(&e))
}
