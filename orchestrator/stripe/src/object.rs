//! Stripe's objects, as far as we read them. There is no field for a card number, because none is ever sent to us.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What we wrote beside an object.
pub type Metadata = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
pub struct Customer {
    pub id: String,
}

#[derive(Debug, Deserialize)]
pub struct CheckoutSession {
    pub id: String,
    /// Absent once it is over.
    #[serde(default)]
    pub url: Option<String>,
    /// `open`, `complete` or `expired`.
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub customer: Option<String>,
    /// Expanded when we ask for it.
    #[serde(default)]
    pub setup_intent: Option<Expandable<SetupIntent>>,
}

#[derive(Debug, Deserialize)]
pub struct SetupIntent {
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub customer: Option<String>,
    #[serde(default)]
    pub payment_method: Option<Expandable<PaymentMethod>>,
}

#[derive(Debug, Deserialize)]
pub struct PaymentMethod {
    pub id: String,
    #[serde(default)]
    pub card: Option<Card>,
}

#[derive(Debug, Deserialize)]
pub struct Card {
    pub brand: String,
    pub last4: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PaymentIntent {
    pub id: String,
    pub status: String,
    #[serde(default)]
    pub last_payment_error: Option<PaymentError>,
    #[serde(default)]
    pub next_action: Option<NextAction>,
    #[serde(default)]
    pub metadata: Metadata,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct PaymentError {
    pub code: Option<String>,
    pub decline_code: Option<String>,
    pub message: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct NextAction {
    #[serde(default)]
    pub redirect_to_url: Option<RedirectToUrl>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct RedirectToUrl {
    #[serde(default)]
    pub url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub struct Refund {
    pub id: String,
    /// `pending`, `requires_action`, `succeeded`, `failed` or `canceled`.
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub failure_reason: Option<String>,
    #[serde(default)]
    pub metadata: Metadata,
}

#[derive(Debug, Deserialize)]
pub struct IssuedToken {
    pub id: String,
    /// `active`, `requires_action` or `deactivated`.
    #[serde(default)]
    pub status: Option<String>,
    /// In seconds.
    #[serde(default)]
    pub deactivated_at: Option<i64>,
    #[serde(default)]
    pub usage_details: Option<UsageDetails>,
}

#[derive(Debug, Deserialize)]
pub struct UsageDetails {
    #[serde(default)]
    pub amount_captured: Option<AmountCaptured>,
}

#[derive(Debug, Deserialize)]
pub struct AmountCaptured {
    pub value: i64,
    pub currency: String,
}

#[derive(Debug, Deserialize)]
pub struct List<T> {
    pub data: Vec<T>,
}

#[derive(Debug, Deserialize)]
pub struct Event {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub data: EventData,
}

#[derive(Debug, Deserialize)]
pub struct EventData {
    pub object: serde_json::Value,
}

#[derive(Debug, Deserialize)]
pub struct Dispute {
    pub id: String,
    pub amount: i64,
    pub currency: String,
    #[serde(default)]
    pub reason: String,
    pub status: String,
    #[serde(default)]
    pub payment_intent: Option<String>,
}

/// An id, or the whole object where it was asked for.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Expandable<T> {
    Object(T),
    #[allow(dead_code, reason = "an id alone tells us only that it was not expanded")]
    Id(String),
}

impl<T> Expandable<T> {
    pub fn object(self) -> Option<T> {
        match self {
            Self::Object(object) => Some(object),
            Self::Id(_) => None,
        }
    }
}
