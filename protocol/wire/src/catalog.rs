//! `GET provisioning/services` (section 4 of the reference).
//!
//! In 0.1d prices are prose. Our extension [`Price`] says them in numbers; without it a price is unknown, and unknown is
//! denied by the orchestrator.

use std::collections::BTreeMap;

use purser_values::Money;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use crate::account::KycField;
use crate::id::ServiceId;
use crate::open::open_enum;
use crate::plain;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Services {
    pub data: Vec<Service>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

open_enum! {
    /// What a service is for; the reference's closed list.
    Category {
        Compute = "compute", Database = "database", Storage = "storage", Cache = "cache", Messaging = "messaging", Email = "email",
        Notification = "notification", Auth = "auth", Cdn = "cdn", Observability = "observability", Analytics = "analytics",
        Payments = "payments", Search = "search", Ci = "ci", FeatureFlags = "feature_flags", Ai = "ai",
    }
}

open_enum! {
    ServiceKind {
        /// A subscription tier.
        Plan = "plan",
        /// Something that is provisioned.
        Deployable = "deployable",
    }
}

open_enum! {
    /// Where the limits of `constraints` count.
    Scope { Project = "project", Account = "account", }
}

open_enum! {
    Direction { Up = "up", Down = "down", Any = "any", }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    pub id: ServiceId,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub description: String,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub categories: Vec<Category>,
    pub pricing: Pricing,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<ServiceKind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// JSON Schema of the `configuration` of a create.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration_schema: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "plain::or_default")]
    pub allowed_updates: Vec<AllowedUpdate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraints: Option<Constraints>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kyc: Option<ServiceKyc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llm_context: Option<Url>,
    /// Extension: the price in numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Extension: what a create gives, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_schema: Option<BTreeMap<String, CredentialDescription>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialDescription {
    #[serde(default, deserialize_with = "plain::or_default")]
    pub description: String,
    #[serde(default = "yes")]
    pub secret: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceKyc {
    pub required_fields: Vec<KycField>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AllowedUpdateForm")]
pub struct AllowedUpdate {
    pub service: ServiceId,
    pub direction: Direction,
}

/// The current form is an object, the older one a bare id.
#[derive(Deserialize)]
#[serde(untagged)]
enum AllowedUpdateForm {
    Object { service: ServiceId, direction: Option<Direction> },
    Bare(ServiceId),
}

impl From<AllowedUpdateForm> for AllowedUpdate {
    fn from(form: AllowedUpdateForm) -> Self {
        match form {
            AllowedUpdateForm::Object { service, direction } => Self { service, direction: direction.unwrap_or(Direction::Any) },
            AllowedUpdateForm::Bare(service) => Self { service, direction: Direction::Any },
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Constraints {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<CountConstraint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutual_exclusion: Option<MutualExclusion>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountConstraint {
    pub at_most: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MutualExclusion {
    #[serde(default)]
    pub allowed_updates: bool,
}

/// What the service costs, in the protocol's own words.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
pub enum Pricing {
    Free,
    /// One entry, or several of which the configuration selects one.
    Paid(Vec<PaidEntry>),
    /// Depends on the active plan.
    Component(Vec<ComponentOption>),
    /// A type that we do not know, or one whose member is missing.
    Unknown,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PaidEntry {
    #[serde(rename = "type", default, deserialize_with = "plain::or_default")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeform: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_price: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_default: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl PaidEntry {
    #[must_use]
    pub fn freeform(text: impl Into<String>) -> Self {
        Self { kind: "freeform".to_owned(), freeform: Some(text.into()), ..Self::default() }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ComponentOption {
    #[serde(rename = "type", default, deserialize_with = "plain::or_default")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid: Option<PaidEntry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "plain::or_default")]
    pub parent_service_ids: Vec<ServiceId>,
    #[serde(default, alias = "is_default", skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
}

impl Pricing {
    /// One paid entry in prose.
    #[must_use]
    pub fn paid(text: impl Into<String>) -> Self {
        Self::Paid(vec![PaidEntry::freeform(text)])
    }
}

impl From<Value> for Pricing {
    fn from(value: Value) -> Self {
        let entries = |v: &Value| -> Option<Vec<PaidEntry>> {
            match v {
                Value::Array(_) => serde_json::from_value(v.clone()).ok(),
                Value::Object(_) => serde_json::from_value(v.clone()).ok().map(|entry| vec![entry]),
                _ => None,
            }
        };
        match value["type"].as_str() {
            Some("free") => Self::Free,
            Some("paid") => entries(&value["paid"]).filter(|e| !e.is_empty()).map_or(Self::Unknown, Self::Paid),
            Some("component") => {
                let options = serde_json::from_value(value["component"]["options"].clone()).ok();
                options.filter(|o: &Vec<_>| !o.is_empty()).map_or(Self::Unknown, Self::Component)
            }
            _ => Self::Unknown,
        }
    }
}

impl From<Pricing> for Value {
    fn from(pricing: Pricing) -> Self {
        match pricing {
            Pricing::Free => json!({"type": "free"}),
            Pricing::Paid(entries) => match entries.as_slice() {
                [one] => json!({"type": "paid", "paid": one}),
                many => json!({"type": "paid", "paid": many}),
            },
            Pricing::Component(options) => {
                json!({"type": "component", "component": {"options": options}})
            }
            Pricing::Unknown => json!({"type": "unknown"}),
        }
    }
}

open_enum! {
    /// How often an amount is due.
    Period {
        Month = "month", Year = "year", Once = "once",
        /// Nothing at once: use is set aside in blocks and charged afterwards ([`crate::usage`]).
        Metered = "metered",
    }
}

/// Extension: what use of one kind costs beyond what the price includes, in each period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// `requests`, `cpu_ms`, `storage_byte_hours` or a word of the provider's own.
    pub meter: String,
    /// How much of it the period's price includes.
    pub included: u64,
    /// The amount is for so many units; what is used in part is rated in part.
    pub per: u64,
    #[serde(flatten)]
    pub amount: Money,
}

/// Extension: a price in numbers. The quote, not this, is what may be charged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    #[serde(flatten)]
    pub amount: Money,
    pub period: Period,
    /// What one unit is, when the amount is per unit: `domain`, `seat`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    #[serde(default)]
    pub refundable: bool,
    /// Whether the purchase cannot be undone. What a price does not say counts as irreversible.
    #[serde(default = "yes")]
    pub irreversible: bool,
    /// What use costs on top. Without it a quote must have no metered line.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "plain::or_default")]
    pub metered: Vec<Meter>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::Currency;

    #[test]
    fn a_catalog_of_the_reference_is_read() {
        let services: Services = serde_json::from_value(json!({"next_cursor": null, "data": [
            {"id": "free", "description": "d", "categories": ["analytics", "teleport"], "pricing": {"type": "free"}, "kind": null,
             "allowed_updates": ["paid", {"service": "max", "direction": "up"}]},
            {"id": "paid", "description": "d", "categories": ["ai"], "kind": "plan",
             "pricing": {"type": "paid", "paid": [{"type": "freeform", "freeform": "$5", "is_default": true}, {"type": "stripe_price", "stripe_price": "price_1"}]}},
            {"id": "dep", "description": "d", "categories": ["ai"], "kind": "deployable", "pricing": {"type": "component",
             "component": {"options": [{"type": "free", "parent_service_ids": ["free"], "is_default": true}]}}},
            {"id": "odd", "pricing": {"type": "barter"}}
        ]}))
        .unwrap();
        assert!(!services.data[0].categories[1].is_known());
        assert_eq!(services.data[0].allowed_updates[0].direction, Direction::Any);
        assert!(matches!(&services.data[1].pricing, Pricing::Paid(entries) if entries.len() == 2));
        assert!(matches!(&services.data[2].pricing, Pricing::Component(options) if options[0].default == Some(true)));
        assert!(matches!(services.data[3].pricing, Pricing::Unknown));
    }

    #[test]
    fn one_paid_entry_is_written_as_an_object() {
        let value = serde_json::to_value(Pricing::paid("USD 5 a month")).unwrap();
        assert_eq!(value, json!({"type": "paid", "paid": {"type": "freeform", "freeform": "USD 5 a month"}}));
    }

    #[test]
    fn a_price_that_does_not_say_so_is_irreversible_and_not_refundable() {
        let price: Price = serde_json::from_value(json!({"amount_minor": 500, "currency": "usd", "period": "month"})).unwrap();
        assert_eq!(price.amount, Money::from_minor(500, Currency::USD));
        assert!(price.irreversible && !price.refundable);
        assert_eq!(serde_json::to_value(&price).unwrap()["amount_minor"], 500);
    }
}
