//! The OAuth token endpoint (section 6 of the reference): form in, JSON out.

use purser_values::Secret;
use serde::{Deserialize, Serialize};

use crate::id::AccountId;
use crate::open::open_enum;
use crate::plain;

open_enum! {
    /// Who pays for paid services of the account.
    PaymentCredentialsBy {
        /// The orchestrator sends a payment token with paid creates.
        Orchestrator = "orchestrator",
        /// The provider bills the user itself.
        Provider = "provider",
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountRef {
    pub id: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_credentials: Option<PaymentCredentialsBy>,
}

/// An access token with what belongs to it: the `bearer` of direct credentials and the answer of the token endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenSet {
    #[serde(serialize_with = "plain::secret", deserialize_with = "non_empty")]
    pub access_token: Secret<String>,
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "plain::optional")]
    pub refresh_token: Option<Secret<String>>,
    /// Seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<i64>,
    /// Absent on refresh at some providers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountRef>,
}

/// The 200 answer of the token endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TokenResponse {
    #[serde(default = "bearer", deserialize_with = "bearer_or")]
    pub token_type: String,
    #[serde(flatten)]
    pub tokens: TokenSet,
}

impl From<TokenSet> for TokenResponse {
    fn from(tokens: TokenSet) -> Self {
        Self { token_type: bearer(), tokens }
    }
}

/// What is asked of the token endpoint.
#[derive(Clone, Debug)]
pub enum TokenGrant {
    AuthorizationCode { code: Secret<String>, code_verifier: Option<Secret<String>> },
    RefreshToken { refresh_token: Secret<String> },
}

impl TokenGrant {
    /// The form body. Only the token endpoint of the provider it is for may see it.
    #[must_use]
    pub fn to_form(&self) -> Secret<String> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        match self {
            Self::AuthorizationCode { code, code_verifier } => {
                form.append_pair("grant_type", "authorization_code").append_pair("code", code.expose());
                if let Some(verifier) = code_verifier {
                    form.append_pair("code_verifier", verifier.expose());
                }
            }
            Self::RefreshToken { refresh_token } => {
                form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", refresh_token.expose());
            }
        }
        form.finish().into()
    }
}

/// Why a form is not a grant that we know; the variant decides the OAuth error code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenGrantError {
    #[error("`grant_type` must be `authorization_code` or `refresh_token`")]
    Unsupported,
    #[error("`{0}` is missing")]
    Missing(&'static str),
}

impl TokenGrant {
    /// Reads the form body of a token request.
    ///
    /// # Errors
    /// When the grant type is another or its parameter is missing.
    pub fn from_form(body: &[u8]) -> Result<Self, TokenGrantError> {
        let find = |name: &str| {
            url::form_urlencoded::parse(body).find(|(n, v)| n == name && !v.is_empty()).map(|(_, v)| Secret::from(v.into_owned()))
        };
        let grant_type = find("grant_type").ok_or(TokenGrantError::Missing("grant_type"))?;
        match grant_type.expose().as_str() {
            "authorization_code" => Ok(Self::AuthorizationCode {
                code: find("code").ok_or(TokenGrantError::Missing("code"))?,
                code_verifier: find("code_verifier"),
            }),
            "refresh_token" => {
                Ok(Self::RefreshToken { refresh_token: find("refresh_token").ok_or(TokenGrantError::Missing("refresh_token"))? })
            }
            _ => Err(TokenGrantError::Unsupported),
        }
    }
}

fn bearer() -> String {
    "bearer".to_owned()
}

fn bearer_or<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(d)?.unwrap_or_else(bearer))
}

fn non_empty<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Secret<String>, D::Error> {
    let value = Secret::<String>::deserialize(d)?;
    if value.is_empty() { Err(serde::de::Error::custom("an empty token")) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_survives_its_form() {
        let grant = TokenGrant::AuthorizationCode { code: "a+b &=c".to_owned().into(), code_verifier: None };
        let TokenGrant::AuthorizationCode { code, code_verifier } = TokenGrant::from_form(grant.to_form().expose().as_bytes()).unwrap()
        else {
            panic!()
        };
        assert_eq!(code.expose(), "a+b &=c");
        assert!(code_verifier.is_none());
    }

    #[test]
    fn a_grant_without_its_parameter_is_refused_by_name() {
        let missing = |form: &str| TokenGrant::from_form(form.as_bytes()).unwrap_err();
        assert_eq!(missing("grant_type=authorization_code&code="), TokenGrantError::Missing("code"));
        assert_eq!(missing("grant_type=password"), TokenGrantError::Unsupported);
        assert_eq!(missing(""), TokenGrantError::Missing("grant_type"));
    }

    #[test]
    fn a_token_answer_is_flat_and_an_empty_token_is_none() {
        let tokens: TokenResponse = serde_json::from_str(
            r#"{"token_type":"bearer","access_token":"a","refresh_token":"r","expires_in":60,"account":{"id":"x"},"extra":1}"#,
        )
        .unwrap();
        assert_eq!(serde_json::to_value(&tokens).unwrap()["access_token"], "a");
        assert!(!format!("{tokens:?}").contains("\"a\""), "a token shows in debug output");
        assert!(serde_json::from_str::<TokenResponse>(r#"{"access_token":""}"#).is_err());
    }
}
