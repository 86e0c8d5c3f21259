//! A service as the catalogue lists it.

use std::collections::BTreeMap;

use purser_values::Money;
use purser_values::name::{ProviderName, ServiceName, ServiceRef};
use serde::{Deserialize, Serialize};

/// How often a price is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    Once,
    Month,
    Year,
}

/// What use of one kind costs beyond what the price includes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    pub meter: String,
    /// How much of it each period's price includes.
    pub included: u64,
    /// The amount is for so many units.
    pub per: u64,
    #[serde(flatten)]
    pub amount: Money,
}

/// What a service costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Price {
    Free,
    /// So much for each period. The quote of a purchase must not be above it.
    Known {
        #[serde(flatten)]
        amount: Money,
        period: Period,
        /// What one unit is, when the price is per unit.
        unit: Option<String>,
        refundable: bool,
        irreversible: bool,
        /// What use costs on top; empty where nothing is metered.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        metered: Vec<Meter>,
    },
    /// Comes with a plan and costs nothing of its own.
    Included,
    /// Prose only: paid only where a person approved that purchase and said the most it may cost.
    Unknown {
        text: String,
    },
}

impl Price {
    /// Whether buying cannot be undone. What has no price in numbers is bought by approval alone, which says so.
    #[must_use]
    pub const fn is_irreversible(&self) -> bool {
        matches!(self, Self::Known { irreversible: true, .. })
    }
}

/// One credential that the service delivers, known before it is bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialField {
    pub description: String,
    pub secret: bool,
}

/// One service of one provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    #[serde(rename = "ref")]
    pub service: ServiceRef,
    pub description: String,
    /// `plan` or `deployable`.
    pub kind: String,
    pub categories: Vec<String>,
    pub price: Price,
    /// Plans of which one must be live before this can be added.
    pub parents: Vec<ServiceName>,
    pub configuration_schema: Option<serde_json::Value>,
    pub credentials: BTreeMap<String, CredentialField>,
}

/// A provider, for the catalogue's head lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderListing {
    pub name: ProviderName,
    pub display: String,
}
