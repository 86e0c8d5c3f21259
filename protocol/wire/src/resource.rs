//! Resources (section 7 of the reference): create, get, update, remove, rotate, and the one envelope they answer with.

use std::collections::BTreeMap;

use purser_values::{Secret, Timestamp};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value, json};

use crate::error::{Envelope, ErrorBody};
use crate::id::{AgentId, OrchestratorResourceId, ProjectId, QuoteId, ResourceId, ServiceId};
use crate::limits;
use crate::open::open_enum;
use crate::plain;

/// Who or what runs the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<String>,
}

/// Extension: the agent that a request is made for, so that what it receives can be disabled for it alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRef {
    pub id: AgentId,
    /// Thumbprint of the agent's key (RFC 7638).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jkt: Option<String>,
    /// The grant under which it acts, by the orchestrator's id for it: what an abuse desk can find and stop together. It names no person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

/// How a paid create is paid.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum PaymentCredentials {
    /// A shared payment token (section 9).
    StripePaymentToken(Secret<String>),
    /// A type that we do not know; it counts as no payment.
    Unknown,
}

impl PaymentCredentials {
    #[must_use]
    pub const fn token(&self) -> Option<&Secret<String>> {
        match self {
            Self::StripePaymentToken(token) => Some(token),
            Self::Unknown => None,
        }
    }
}

impl From<Value> for PaymentCredentials {
    fn from(value: Value) -> Self {
        match (value["type"].as_str(), value["stripe_payment_token"].as_str()) {
            (Some("stripe_payment_token"), Some(token)) if !token.is_empty() => Self::StripePaymentToken(token.to_owned().into()),
            _ => Self::Unknown,
        }
    }
}
impl From<PaymentCredentials> for Value {
    fn from(credentials: PaymentCredentials) -> Self {
        match credentials.token() {
            Some(token) => {
                json!({"type": "stripe_payment_token", "stripe_payment_token": token.expose()})
            }
            None => Self::Null,
        }
    }
}

/// `POST provisioning/resources`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CreateResource {
    pub service_id: ServiceId,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub configuration: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orchestrator_resource_id: Option<OrchestratorResourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_credentials: Option<PaymentCredentials>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_information: Option<Map<String, Value>>,
    /// Extension: whose credentials these will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// Extension: the quote that was accepted for exactly this request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<QuoteId>,
}

impl CreateResource {
    #[must_use]
    pub fn new(service_id: ServiceId, configuration: Map<String, Value>) -> Self {
        Self {
            service_id,
            configuration,
            project_id: None,
            orchestrator_resource_id: None,
            environment: None,
            actor: None,
            payment_credentials: None,
            submitted_information: None,
            agent: None,
            quote_id: None,
        }
    }
}

/// `POST provisioning/resources/:id/update_service`. Absent means unchanged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct UpdateResource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<ServiceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_credentials: Option<PaymentCredentials>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// Extension.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<QuoteId>,
}

/// The body of remove and rotate: empty, but for who asks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ResourceAction {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    /// Extension `refunds`: why a resource is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<RemoveReason>,
}

open_enum! {
    /// Why an orchestrator removes a resource. Without a reason somebody wanted it gone.
    RemoveReason {
        /// The order is undone: nobody got what was made. What was charged for it is to be given back.
        Undone = "undone",
    }
}

/// What a resource gives to its user: names and values that become environment variables. Every value counts as secret.
#[derive(Clone, Debug, Default)]
pub struct AccessConfiguration(pub BTreeMap<String, Secret<String>>);

impl AccessConfiguration {
    /// Adds one value; for writers.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.0.insert(name.to_owned(), Secret::new(value.into()));
        self
    }
}

impl Serialize for AccessConfiguration {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|(name, value)| (name, value.expose())))
    }
}

impl<'de> Deserialize<'de> for AccessConfiguration {
    /// Values are strings; numbers and booleans become their text, anything deeper its JSON text.
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut out = BTreeMap::new();
        for (name, value) in Map::<String, Value>::deserialize(d)? {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                other => other.to_string(),
            };
            if out.len() >= limits::CREDENTIALS_PER_RESOURCE || text.len() > limits::CREDENTIAL_BYTES {
                return Err(serde::de::Error::custom("the access configuration is larger than the limit"));
            }
            out.insert(name, Secret::new(text));
        }
        Ok(Self(out))
    }
}

open_enum! {
    /// What an endpoint is.
    EndpointKind {
        /// An absolute URL at which the resource answers.
        Url = "url",
        /// A domain name that the resource is or serves.
        Domain = "domain",
    }
}

/// Extension: where a resource can be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub kind: EndpointKind,
    pub value: String,
}

/// The answer of create, get, update, remove and rotate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct ResourceEnvelope {
    pub id: Option<ResourceId>,
    pub state: ResourceState,
    /// Extension.
    pub endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug)]
pub enum ResourceState {
    Complete {
        access_configuration: Option<AccessConfiguration>,
        /// When the credentials stop working, if the provider says so.
        expires_at: Option<Timestamp>,
    },
    /// Ask again with GET.
    Pending,
    NeedsInformation {
        schema: Value,
    },
    Removed,
    PendingRemoval,
    Error(ErrorBody),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResourceEnvelopeError {
    #[error("the answer has no known `status` but `{0}`")]
    UnknownStatus(String),
    #[error("the answer with status `{status}` lacks a usable `{member}`")]
    MissingMember { status: &'static str, member: &'static str },
}

impl ResourceEnvelope {
    #[must_use]
    pub const fn new(id: ResourceId, state: ResourceState) -> Self {
        Self { id: Some(id), state, endpoints: Vec::new() }
    }

    /// A resource that works and gives `access`.
    #[must_use]
    pub const fn complete(id: ResourceId, access: Option<AccessConfiguration>) -> Self {
        Self::new(id, ResourceState::Complete { access_configuration: access, expires_at: None })
    }
}

impl TryFrom<Value> for ResourceEnvelope {
    type Error = ResourceEnvelopeError;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let missing = |status, member| ResourceEnvelopeError::MissingMember { status, member };
        let id: Option<ResourceId> = value["id"].as_str().and_then(|id| id.parse().ok());
        let state = match value["status"].as_str().unwrap_or_default() {
            "complete" => ResourceState::Complete {
                access_configuration: serde_json::from_value(value["complete"]["access_configuration"].clone())
                    .map_err(|_| missing("complete", "complete.access_configuration"))?,
                expires_at: value["complete"]["expires_at"].as_str().and_then(|t| t.parse().ok()),
            },
            "pending" => ResourceState::Pending,
            "needs_information" => match &value["needs_information"]["schema"] {
                schema @ Value::Object(_) => ResourceState::NeedsInformation { schema: schema.clone() },
                _ => return Err(missing("needs_information", "needs_information.schema")),
            },
            "removed" => ResourceState::Removed,
            "pending_removal" => ResourceState::PendingRemoval,
            "error" => {
                let found = ErrorBody::find(&value).map(|(_, body)| body);
                ResourceState::Error(found.ok_or_else(|| missing("error", "error"))?)
            }
            other => {
                return Err(ResourceEnvelopeError::UnknownStatus(crate::text::excerpt(other, 40)));
            }
        };
        let needs_id = match &state {
            ResourceState::Complete { .. } => Some("complete"),
            ResourceState::Pending => Some("pending"),
            _ => None,
        };
        if let (Some(status), None) = (needs_id, &id) {
            return Err(missing(status, "id"));
        }
        let endpoints = serde_json::from_value(value["endpoints"].clone()).unwrap_or_default();
        Ok(Self { id, state, endpoints })
    }
}

impl From<ResourceEnvelope> for Value {
    fn from(envelope: ResourceEnvelope) -> Self {
        let mut value = match envelope.state {
            ResourceState::Complete { access_configuration, expires_at } => {
                let mut complete = json!({"access_configuration": access_configuration});
                if let Some(at) = expires_at {
                    complete["expires_at"] = Self::String(at.to_string());
                }
                json!({"status": "complete", "complete": complete})
            }
            ResourceState::Pending => json!({"status": "pending"}),
            ResourceState::NeedsInformation { schema } => {
                json!({"status": "needs_information", "needs_information": {"schema": schema}})
            }
            ResourceState::Removed => json!({"status": "removed"}),
            ResourceState::PendingRemoval => json!({"status": "pending_removal"}),
            ResourceState::Error(error) => error.to_json(Envelope::Status),
        };
        value["id"] = envelope.id.map_or(Self::Null, |id| Self::String(id.into()));
        if !envelope.endpoints.is_empty() {
            value["endpoints"] = json!(envelope.endpoints);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<ResourceEnvelope, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn a_plan_may_complete_without_access_and_numbers_become_text() {
        let plan = read(json!({"status": "complete", "id": "r", "complete": {"access_configuration": null}, "error": null})).unwrap();
        assert!(matches!(plan.state, ResourceState::Complete { access_configuration: None, .. }));
        let vm = read(json!({"status": "complete", "id": "r", "complete": {"access_configuration": {"ssh_port": 22, "x": null}}})).unwrap();
        let ResourceState::Complete { access_configuration: Some(access), .. } = vm.state else { panic!() };
        assert_eq!(access.0["ssh_port"].expose(), "22");
        assert_eq!(access.0.len(), 1);
    }

    #[test]
    fn a_complete_answer_without_an_id_is_refused_and_an_error_without_one_is_read() {
        assert!(read(json!({"status": "complete", "id": "", "complete": {}})).is_err());
        assert!(read(json!({"status": "error", "id": "", "error": {"code": "x", "message": "y"}})).is_ok());
        assert!(read(json!({"status": "frozen", "id": "a"})).is_err());
        assert!(read(json!("complete")).is_err());
    }

    #[test]
    fn an_envelope_survives_the_wire() {
        let mut sent = ResourceEnvelope::complete("r1".parse().unwrap(), Some(AccessConfiguration::default().with("token", "t")));
        sent.endpoints = vec![Endpoint { kind: EndpointKind::Url, value: "https://x.test".to_owned() }];
        let value = serde_json::to_value(sent.clone()).unwrap();
        assert_eq!(value["complete"]["access_configuration"]["token"], "t");
        assert_eq!(read(value).unwrap().endpoints, sent.endpoints);
        assert!(!format!("{sent:?}").contains("\"t\""), "a credential shows in debug output");
    }

    #[test]
    fn a_foreign_way_to_pay_counts_as_none() {
        let create: CreateResource = serde_json::from_value(
            json!({"service_id": "s", "configuration": null, "payment_credentials": {"type": "coins", "coins": "1"}}),
        )
        .unwrap();
        assert!(create.payment_credentials.unwrap().token().is_none());
    }
}
