//! The catalogue: what is sold, for how much, on which conditions.

use std::collections::BTreeMap;

use purser_values::Money;
use purser_wire::catalog::{
    Category, ComponentOption, CredentialDescription, PaidEntry, Period, Price, Pricing, Scope, Service, ServiceKind,
};
use purser_wire::id::{ParseWireIdError, ServiceId};
use serde_json::{Value, json};
use slipway_accounts::service::Service as Ours;
use slipway_registrar::registry::YEARLY;

use crate::billing::plans;

use super::manifest::{ACCOUNT_ID, API_BASE_URL, API_TOKEN};

/// The member of an order's configuration that states the price of a premium name.
pub const PREMIUM_PRICE: &str = "premium_price";
/// What a registered domain gives.
pub const DOMAIN: &str = "DOMAIN";

/// The services of this installation. Domains are sold only where a registry is connected.
///
/// # Errors
/// Never: our own ids fit the wire, and a test says so.
pub fn services(with_domains: bool) -> Result<Vec<Service>, ParseWireIdError> {
    let mut all = vec![free_plan()?, paid_plan()?, workers()?];
    if with_domains {
        all.push(domain()?);
    }
    Ok(all)
}

fn free_plan() -> Result<Service, ParseWireIdError> {
    plan(Ours::Free, "Free plan: Workers and static sites below a common domain and on your own.", Pricing::Free)
}

fn paid_plan() -> Result<Service, ParseWireIdError> {
    let text = "USD 5.00 a month, paid a month ahead; cancelled at any time, the paid month is not given back";
    plan(Ours::Paid, "Paid plan: what the free plan has, for work that earns money.", Pricing::paid(text))
}

fn plan(ours: Ours, description: &str, pricing: Pricing) -> Result<Service, ParseWireIdError> {
    Ok(Service {
        kind: Some(ServiceKind::Plan),
        group: Some("workers-plan".to_owned()),
        price: ours.monthly().map(|price| Price { metered: plans::published(ours), ..monthly(price) }),
        ..service(ours, description, vec![Category::Compute], pricing, empty_schema())?
    })
}

fn workers() -> Result<Service, ParseWireIdError> {
    let included = |parent: Ours, default| {
        id(parent).map(|parent| ComponentOption { kind: "free".to_owned(), paid: None, parent_service_ids: vec![parent], default })
    };
    let pricing = Pricing::Component(vec![included(Ours::Free, Some(true))?, included(Ours::Paid, None)?]);
    let about = "Deploys Workers and static sites with wrangler or any other client of the Cloudflare API: gives one API token, for one \
                 agent. Needs a plan.";
    let credentials = [
        (API_TOKEN, "token for Workers, assets and domains of this account", true),
        (ACCOUNT_ID, "the account's id in the API", false),
        (API_BASE_URL, "the API's address", false),
    ];
    Ok(Service {
        kind: Some(ServiceKind::Deployable),
        price: Ours::Free.monthly().map(monthly),
        credentials_schema: Some(schema(&credentials)),
        ..service(Ours::Workers, about, vec![Category::Compute, Category::Cdn], pricing, empty_schema())?
    })
}

fn domain() -> Result<Service, ParseWireIdError> {
    let text = format!(
        "{YEARLY} for a year of a `.test` name, which is what the registry charges; never refunded, renewed only with `auto_renew`"
    );
    let configuration = json!({
        "type": "object",
        "properties": {"domain": {
            "type": "string", "minLength": 3, "maxLength": 253,
            "description": "The exact name to register, such as `example.test`. Nothing else is ever bought in its place.",
        }, PREMIUM_PRICE: {
            "type": "string", "minLength": 1, "maxLength": 20, "x-stated-price": true,
            "description": "For a premium name: its exact price in US dollars, such as `1500.00`. It is bought at that price or not at all.",
        }, "auto_renew": {
            "type": "boolean", "default": false,
            "description": "Whether another year is bought when this one ends. Nothing is renewed that was not chosen so.",
        }},
        "required": ["domain"],
        "additionalProperties": false,
    });
    let about = "Registers one exact domain name for a year and answers for it. A registration cannot be undone.";
    Ok(Service {
        kind: Some(ServiceKind::Deployable),
        price: Some(Price {
            amount: YEARLY,
            period: Period::Year,
            unit: Some("domain".to_owned()),
            refundable: false,
            irreversible: true,
            metered: Vec::new(),
        }),
        credentials_schema: Some(schema(&[(DOMAIN, "the registered name", false)])),
        ..service(Ours::Domain, about, vec![Category::Cdn], Pricing::Paid(vec![PaidEntry::freeform(text)]), configuration)?
    })
}

/// A price by the month that can be ended at any time. That something is free is said in numbers too: an unknown price is never bought.
const fn monthly(amount: Money) -> Price {
    Price { amount, period: Period::Month, unit: None, refundable: false, irreversible: false, metered: Vec::new() }
}

fn service(
    ours: Ours,
    description: &str,
    categories: Vec<Category>,
    pricing: Pricing,
    configuration: Value,
) -> Result<Service, ParseWireIdError> {
    Ok(Service {
        id: id(ours)?,
        description: description.to_owned(),
        categories,
        pricing,
        kind: None,
        group: None,
        scope: Some(Scope::Project),
        configuration_schema: Some(configuration),
        allowed_updates: Vec::new(),
        constraints: None,
        kyc: None,
        llm_context: None,
        price: None,
        credentials_schema: None,
    })
}

fn empty_schema() -> Value {
    json!({"type": "object", "properties": {}, "additionalProperties": false})
}

fn schema(entries: &[(&str, &str, bool)]) -> BTreeMap<String, CredentialDescription> {
    let entry = |(name, description, secret): &(&str, &str, bool)| {
        ((*name).to_owned(), CredentialDescription { description: (*description).to_owned(), secret: *secret })
    };
    entries.iter().map(entry).collect()
}

fn id(ours: Ours) -> Result<ServiceId, ParseWireIdError> {
    ours.id().parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_a_price_in_numbers_and_the_runtime_names_its_plans() {
        let all = services(true).unwrap();
        assert_eq!(all.len(), Ours::ALL.len());
        assert_eq!(services(false).unwrap().len(), Ours::ALL.len() - 1);
        for service in &all {
            assert!(service.price.is_some(), "`{}` has no price in numbers", service.id);
        }
        let Pricing::Component(options) = &all[2].pricing else { panic!() };
        assert_eq!(options.iter().filter(|o| o.default == Some(true)).count(), 1);
    }
}
