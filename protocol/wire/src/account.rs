//! `POST provisioning/account_requests` (section 5 of the reference).
//!
//! Readers take a flat `requires_auth.url` as well as the nested form; writers emit the nested form, and all three
//! organisation strings, which is what every known implementation takes.

use purser_values::name::Email;
use purser_values::{Secret, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use crate::error::ErrorBody;
use crate::id::AccountRequestId;
use crate::open::open_enum;
use crate::pkce;
use crate::plain;
use crate::resource::{Actor, AgentRef};
use crate::token::TokenSet;

open_enum! {
    /// A fact about a person that a provider may need.
    KycField { Name = "name", Email = "email", Phone = "phone", Country = "country", }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kyc {
    #[serde(default, deserialize_with = "plain::or_default")]
    pub verified_fields: Vec<KycField>,
}

/// Who asks: the organisation's account at the orchestrator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orchestrator {
    #[serde(rename = "type", default = "stripe")]
    pub kind: String,
    pub stripe: OrchestratorAccount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrchestratorAccount {
    pub account: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
}

fn stripe() -> String {
    "stripe".to_owned()
}

impl Orchestrator {
    /// The form that every known provider takes. `type` is the protocol's word for "the orchestrator", not the company.
    #[must_use]
    pub fn new(account: impl Into<String>, organisation: impl Into<String>) -> Self {
        let organisation = organisation.into();
        Self {
            kind: stripe(),
            stripe: OrchestratorAccount {
                account: account.into(),
                organization: Some(organisation.clone()),
                organisation: Some(organisation),
            },
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccountRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<AccountRequestId>,
    #[serde(default = "account_request", deserialize_with = "any_object")]
    object: String,
    pub email: Email,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kyc: Option<Kyc>,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub scopes: Vec<String>,
    #[serde(default, deserialize_with = "plain::or_default")]
    pub client_capabilities: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Actor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "plain::optional")]
    pub confirmation_secret: Option<Secret<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    pub orchestrator: Orchestrator,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_challenge_method: Option<String>,
    /// Who asks, where that is the client of a document and not whoever signs the body (5.6 of the reference).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_assertion_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "plain::optional")]
    pub client_assertion: Option<Secret<String>>,
    /// Extension: what the orchestrator attests about the person (`crate::assertion`), a compact JWS.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "plain::optional")]
    pub identity_assertion: Option<Secret<String>>,
    /// Extension: the agent that the account is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentRef>,
    /// What an answer `needs_information` asked for, when the request is repeated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_information: Option<Map<String, Value>>,
}

/// Implementations disagree about this constant, so readers do not look at it.
fn any_object<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    serde::de::IgnoredAny::deserialize(d).map(|_| account_request())
}

fn account_request() -> String {
    "account_request".to_owned()
}

impl AccountRequest {
    /// A request with the fields that every known provider demands.
    #[must_use]
    pub fn new(
        id: AccountRequestId,
        email: Email,
        orchestrator: Orchestrator,
        confirmation_secret: Secret<String>,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            id: Some(id),
            object: account_request(),
            email,
            name: None,
            phone: None,
            country: None,
            kyc: None,
            scopes: Vec::new(),
            client_capabilities: vec!["browser".to_owned()],
            actor: None,
            configuration: None,
            confirmation_secret: Some(confirmation_secret),
            // whole seconds: some providers' parsers take no fraction
            expires_at: Some(Timestamp::from_secs(expires_at.as_secs())),
            orchestrator,
            code_challenge: None,
            code_challenge_method: None,
            client_id: None,
            client_assertion_type: None,
            client_assertion: None,
            identity_assertion: None,
            agent: None,
            submitted_information: None,
        }
    }

    /// Binds the code that answers this request to who holds the verifier.
    pub fn challenge(&mut self, verifier: &Secret<String>) {
        self.code_challenge = Some(pkce::challenge(verifier));
        self.code_challenge_method = Some(pkce::METHOD.to_owned());
    }
}

/// When to ask again, in seconds, where the provider does not say.
const REGISTERING_RETRY_S: u32 = 5;

/// The provider's answer, discriminated by `type`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub struct AccountResponse {
    pub id: Option<AccountRequestId>,
    pub answer: AccountAnswer,
}

#[derive(Clone, Debug)]
pub enum AccountAnswer {
    /// A single-use code for the token endpoint.
    OAuth {
        code: Secret<String>,
    },
    /// The tokens themselves.
    Credentials(TokenSet),
    /// A person has to open this address.
    RequiresAuth {
        url: Url,
    },
    /// The provider is still getting to know the orchestrator; ask again after so many seconds.
    Registering {
        retry_after_s: u32,
    },
    /// The provider asks for more; `schema` describes it.
    NeedsInformation {
        schema: Value,
    },
    Error(ErrorBody),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountResponseError {
    #[error("the answer has no known `type` but `{0}`")]
    UnknownType(String),
    #[error("the answer of type `{kind}` lacks a usable `{member}`")]
    MissingMember { kind: &'static str, member: &'static str },
}

impl TryFrom<Value> for AccountResponse {
    type Error = AccountResponseError;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let missing = |kind, member| AccountResponseError::MissingMember { kind, member };
        let id = value["id"].as_str().and_then(|id| id.parse().ok());
        let answer = match value["type"].as_str().unwrap_or_default() {
            "oauth" => {
                let code = value["oauth"]["code"].as_str().filter(|c| !c.is_empty()).ok_or_else(|| missing("oauth", "oauth.code"))?;
                AccountAnswer::OAuth { code: code.to_owned().into() }
            }
            "credentials" => {
                let bearer = value["credentials"]["bearer"].clone();
                AccountAnswer::Credentials(serde_json::from_value(bearer).map_err(|_| missing("credentials", "credentials.bearer"))?)
            }
            "requires_auth" => {
                let at = &value["requires_auth"];
                let url = at["redirect"]["url"].as_str().or_else(|| at["url"].as_str()).and_then(|u| Url::parse(u).ok());
                AccountAnswer::RequiresAuth { url: url.ok_or_else(|| missing("requires_auth", "requires_auth.redirect.url"))? }
            }
            "registering" => {
                let asked = value["retry_after"].as_u64().and_then(|s| u32::try_from(s).ok());
                AccountAnswer::Registering { retry_after_s: asked.unwrap_or(REGISTERING_RETRY_S) }
            }
            "needs_information" => {
                let places = [&value["needs_information"]["schema"], &value["needs_information_schema"]];
                let schema = places.into_iter().find(|schema| schema.is_object());
                AccountAnswer::NeedsInformation {
                    schema: schema.ok_or_else(|| missing("needs_information", "needs_information.schema"))?.clone(),
                }
            }
            "error" => {
                let error = ErrorBody::find(&value).map(|(_, body)| body);
                AccountAnswer::Error(error.ok_or_else(|| missing("error", "error"))?)
            }
            other => {
                return Err(AccountResponseError::UnknownType(crate::text::excerpt(other, 40)));
            }
        };
        Ok(Self { id, answer })
    }
}

impl From<AccountResponse> for Value {
    fn from(response: AccountResponse) -> Self {
        let mut value = match response.answer {
            AccountAnswer::OAuth { code } => {
                json!({"type": "oauth", "oauth": {"code": code.expose()}})
            }
            AccountAnswer::Credentials(tokens) => {
                json!({"type": "credentials", "credentials": {"type": "bearer", "bearer": tokens}})
            }
            AccountAnswer::RequiresAuth { url } => {
                json!({"type": "requires_auth", "requires_auth": {"type": "redirect", "redirect": {"url": url}}})
            }
            AccountAnswer::Registering { retry_after_s } => json!({"type": "registering", "retry_after": retry_after_s}),
            AccountAnswer::NeedsInformation { schema } => {
                json!({"type": "needs_information", "needs_information": {"schema": schema}})
            }
            AccountAnswer::Error(error) => error.to_json(crate::error::Envelope::Typed),
        };
        if let (Some(id), Some(map)) = (response.id, value.as_object_mut()) {
            map.insert("id".to_owned(), Self::String(id.into()));
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<AccountResponse, serde_json::Error> {
        serde_json::from_value(value)
    }

    #[test]
    fn both_forms_of_requires_auth_are_read_and_the_nested_one_is_written() {
        let nested = json!({"type": "requires_auth", "id": null, "oauth": null,
            "requires_auth": {"type": "redirect", "redirect": {"url": "https://p.example/x"}}});
        let flat = json!({"type": "requires_auth", "requires_auth": {"url": "https://p.example/x"}});
        for form in [nested, flat] {
            let response = read(form).unwrap();
            let AccountAnswer::RequiresAuth { url } = &response.answer else { panic!("{response:?}") };
            assert_eq!(url.as_str(), "https://p.example/x");
            assert_eq!(serde_json::to_value(response).unwrap()["requires_auth"]["redirect"]["url"], "https://p.example/x");
        }
    }

    #[test]
    fn direct_credentials_with_nulls_are_read() {
        let response = read(json!({"type": "credentials", "error": null, "credentials": {"type": "bearer", "bearer":
            {"access_token": "a", "refresh_token": null, "expires_in": null, "account": {"id": "acct", "payment_credentials": null}}}}));
        let AccountAnswer::Credentials(tokens) = response.unwrap().answer else { panic!() };
        assert_eq!(tokens.access_token.expose(), "a");
        assert!(tokens.refresh_token.is_none());
    }

    #[test]
    fn a_member_that_does_not_match_the_type_is_refused() {
        assert!(read(json!({"type": "oauth", "oauth": {"code": ""}})).is_err());
        assert!(read(json!({"type": "unheard_of"})).is_err());
        assert!(read(json!({"type": "needs_information", "needs_information": {"schema": null}})).is_err());
        assert!(read(json!({"type": "requires_auth", "requires_auth": {"type": "redirect", "redirect": {"url": "/relative"}}})).is_err());
        assert!(read(json!({"type": "credentials", "credentials": null})).is_err());
    }

    #[test]
    fn an_answer_may_wait_or_ask_for_more_in_either_place() {
        let AccountAnswer::Registering { retry_after_s: 5 } = read(json!({"type": "registering", "retry_after": null})).unwrap().answer
        else {
            panic!()
        };
        let AccountAnswer::Registering { retry_after_s: 2 } = read(json!({"type": "registering", "retry_after": 2})).unwrap().answer else {
            panic!()
        };
        for form in [
            json!({"type": "needs_information", "needs_information": {"schema": {"type": "object"}}}),
            json!({"type": "needs_information", "needs_information": null, "needs_information_schema": {"type": "object"}}),
        ] {
            let AccountAnswer::NeedsInformation { schema } = read(form).unwrap().answer else { panic!() };
            assert_eq!(schema["type"], "object");
        }
    }

    #[test]
    fn a_request_is_written_with_all_three_organisation_strings_and_a_zulu_time() {
        let request = AccountRequest::new(
            "arq_1".parse().unwrap(),
            "ada@example.test".parse().unwrap(),
            Orchestrator::new("org_1", "org_1"),
            "s".to_owned().into(),
            Timestamp::from_micros(1_795_400_000_123_456),
        );
        let value = serde_json::to_value(&request).unwrap();
        assert_eq!(value["orchestrator"]["type"], "stripe");
        for name in ["account", "organization", "organisation"] {
            assert_eq!(value["orchestrator"]["stripe"][name], "org_1");
        }
        assert_eq!(value["object"], "account_request");
        assert!(value["expires_at"].as_str().unwrap().ends_with('Z') && !value["expires_at"].as_str().unwrap().contains('.'));
        serde_json::from_value::<AccountRequest>(value).unwrap();
    }

    #[test]
    fn optional_fields_sent_as_null_are_absent() {
        let request: AccountRequest = serde_json::from_value(json!({
            "id": null, "object": null, "email": "a@b.test", "name": null, "scopes": null, "client_capabilities": null, "kyc": null,
            "actor": null, "configuration": null, "expires_at": null, "confirmation_secret": null, "identity_assertion": null,
            "agent": null, "code_challenge": null, "future": 1,
            "orchestrator": {"type": "stripe", "stripe": {"account": "acct_1", "organization": null}}
        }))
        .unwrap();
        assert!(request.scopes.is_empty() && request.id.is_none());
    }
}
