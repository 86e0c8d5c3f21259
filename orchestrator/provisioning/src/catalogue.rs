//! The protocol's services in the catalogue's words.

use purser_catalogue::{CredentialField, Listing, Meter, Period, Price};
use purser_db::{DbError, Tx};
use purser_values::Env;
use purser_values::name::{ProviderName, ServiceName, ServiceRef};
use purser_wire::catalog::{self, Pricing, Service};

/// Keeps what a provider publishes. A service whose id we cannot name is left out, with a line in the log.
pub fn keep(tx: &mut Tx<'_>, env: &Env, provider: &ProviderName, display: &str, services: &[Service]) -> Result<(), DbError> {
    let mut listings = Vec::with_capacity(services.len());
    for service in services {
        match service.id.as_str().parse::<ServiceName>() {
            Ok(name) => listings.push(listing(ServiceRef { provider: provider.clone(), service: name }, service)),
            Err(e) => tracing::warn!(%provider, error = %e, "a service is left out of the catalogue"),
        }
    }
    purser_catalogue::keep(tx, env, provider, display, &listings)
}

fn listing(reference: ServiceRef, service: &Service) -> Listing {
    let credentials = service.credentials_schema.iter().flatten();
    Listing {
        service: reference,
        description: service.description.clone(),
        kind: service.kind.as_ref().map_or_else(|| "deployable".to_owned(), |kind| kind.as_str().to_owned()),
        categories: service.categories.iter().map(|c| c.as_str().to_owned()).collect(),
        price: price(service),
        parents: parents(&service.pricing),
        configuration_schema: service.configuration_schema.clone(),
        credentials: credentials
            .map(|(name, field)| (name.clone(), CredentialField { description: field.description.clone(), secret: field.secret }))
            .collect(),
    }
}

/// The machine-readable price counts; without one, what is not plainly free is unknown.
fn price(service: &Service) -> Price {
    if let Some(price) = &service.price {
        if price.amount.is_zero() {
            return Price::Free;
        }
        let period = match price.period {
            catalog::Period::Month => Period::Month,
            catalog::Period::Year => Period::Year,
            catalog::Period::Once => Period::Once,
            _ => return Price::Unknown { text: "a period that is not known".to_owned() },
        };
        let (unit, refundable) = (price.unit.clone(), price.refundable);
        let irreversible = price.irreversible || binds(period, refundable);
        let metered = price.metered.iter().map(|m| Meter { meter: m.meter.clone(), included: m.included, per: m.per, amount: m.amount });
        return Price::Known { amount: price.amount, period, unit, refundable, irreversible, metered: metered.collect() };
    }
    match &service.pricing {
        Pricing::Free => Price::Free,
        Pricing::Component(options) if options.iter().all(|o| o.kind == "free" || !o.parent_service_ids.is_empty() && o.paid.is_none()) => {
            Price::Included
        }
        Pricing::Paid(entries) => Price::Unknown { text: entries.iter().find_map(|e| e.freeform.clone()).unwrap_or_default() },
        Pricing::Component(_) => Price::Unknown { text: "depends on the plan".to_owned() },
        _ => Price::Unknown { text: String::new() },
    }
}

/// A year that is paid at once and not given back is a purchase that cannot be undone, whatever the provider calls it.
pub(crate) fn binds(period: Period, refundable: bool) -> bool {
    period == Period::Year && !refundable
}

fn parents(pricing: &Pricing) -> Vec<ServiceName> {
    let Pricing::Component(options) = pricing else { return Vec::new() };
    let mut all: Vec<ServiceName> = options.iter().flat_map(|o| &o.parent_service_ids).filter_map(|id| id.as_str().parse().ok()).collect();
    all.sort();
    all.dedup();
    all
}
