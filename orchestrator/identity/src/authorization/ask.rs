//! What a client asks for, checked once for all that follows.

use purser_crypto::jose::Jwk;
use purser_values::error::{Kind, PublicError};
use serde::{Deserialize, Serialize};

use crate::agent::AgentName;
use crate::client::{Client, ClientId, RedirectUri};
use crate::grant_request::AskedScope;
use crate::parameters::Parameters;
use crate::scope::{OF_PERSONS, Scope};

/// Longest `state` and `nonce` that are carried along, in characters.
const STATE_CHARS: usize = 2_048;
const NONCE_CHARS: usize = 512;
/// Characters of a SHA-256 digest in base64url: of a PKCE challenge and of a key's thumbprint.
const DIGEST_CHARS: usize = 43;

/// Why a request is refused, in the words of RFC 6749, 4.1.2.1 and its extensions. It goes to the client's verified address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{description}")]
pub struct Refusal {
    pub error: &'static str,
    pub description: String,
}

impl PublicError for Refusal {
    fn code(&self) -> &'static str {
        self.error
    }
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

impl Refusal {
    #[must_use]
    pub fn new(error: &'static str, description: impl Into<String>) -> Self {
        Self { error, description: description.into() }
    }

    fn invalid(description: impl Into<String>) -> Self {
        Self::new("invalid_request", description)
    }
}

/// How much the person may be asked (OpenID Connect Core, 3.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Nothing may be shown at all.
    pub none: bool,
    /// Sign in anew.
    pub login: bool,
    /// Ask even where the answer is remembered.
    pub consent: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub client: ClientId,
    pub client_name: String,
    pub redirect_uri: RedirectUri,
    pub scope: Scope,
    pub state: Option<String>,
    pub nonce: Option<String>,
    pub code_challenge: String,
    pub prompt: Prompt,
    pub max_age: Option<i64>,
    pub login_hint: Option<String>,
    pub id_token_hint: Option<String>,
    pub resource: Option<String>,
    /// The key that the code is bound to (RFC 9449, 10).
    pub dpop_jkt: Option<String>,
    pub grant: Option<AskedGrant>,
}

/// An agent's grant, asked for by the software that is the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedGrant {
    pub scope: AskedScope,
    pub name: AgentName,
    /// The agent's key, proven when the request was pushed.
    pub key: Jwk,
}

impl Asked {
    /// Checks everything but the address of the answer, which is checked before. `resources` are the audiences that tokens can be
    /// for.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(
        parameters: &Parameters,
        client: &Client,
        redirect_uri: RedirectUri,
        grant: Option<AskedGrant>,
        resources: &[String],
    ) -> Result<Self, Refusal> {
        if parameters.has("request") {
            return Err(Refusal::new("request_not_supported", "request objects are not taken; push the request instead"));
        }
        if parameters.has("registration") {
            return Err(Refusal::new("registration_not_supported", "clients register beforehand"));
        }
        match parameters.get("response_type") {
            Some("code") => {}
            Some(_) => return Err(Refusal::new("unsupported_response_type", "only `code` is answered")),
            None => return Err(Refusal::invalid("`response_type` is missing")),
        }
        if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(Refusal::invalid("`response_mode` can only be `query`"));
        }
        let code_challenge = challenge(parameters)?;
        let scope = scope_of(parameters, client)?;
        if grant.is_some() && !scope.is_empty() {
            return Err(Refusal::new("invalid_scope", "ask for a grant or for a sign-on, and not for both at once"));
        }
        let dpop_jkt = parameters.get("dpop_jkt").map(str::to_owned);
        if dpop_jkt.as_deref().is_some_and(|jkt| !is_digest(jkt)) {
            return Err(Refusal::invalid("`dpop_jkt` is not the thumbprint of a key"));
        }
        Ok(Self {
            client: client.id.clone(),
            client_name: client.name().to_owned(),
            redirect_uri,
            scope,
            state: bounded(parameters, "state", STATE_CHARS)?,
            nonce: bounded(parameters, "nonce", NONCE_CHARS)?,
            code_challenge,
            prompt: prompt(parameters)?,
            max_age: max_age(parameters)?.or(client.metadata.default_max_age),
            login_hint: bounded(parameters, "login_hint", NONCE_CHARS)?,
            id_token_hint: parameters.get("id_token_hint").map(str::to_owned),
            resource: resource_of(parameters, resources)?,
            dpop_jkt,
            grant,
        })
    }

    /// The address of the answer with the answer in it, and who answers (RFC 9207).
    #[must_use]
    pub fn answer(&self, issuer: &str, parameters: &[(&str, &str)]) -> String {
        answer(&self.redirect_uri, self.state.as_deref(), issuer, parameters)
    }

    /// The refusal as an address.
    #[must_use]
    pub fn refuse(&self, issuer: &str, refusal: &Refusal) -> String {
        self.answer(issuer, &[("error", refusal.error), ("error_description", &refusal.description)])
    }
}

/// Every answer carries `iss`, errors too, so that a client with two servers cannot mix them up.
#[must_use]
pub fn answer(redirect_uri: &RedirectUri, state: Option<&str>, issuer: &str, parameters: &[(&str, &str)]) -> String {
    let mut all = parameters.to_vec();
    all.extend(state.map(|state| ("state", state)));
    all.push(("iss", issuer));
    redirect_uri.with(&all)
}

/// The audience that is asked for (RFC 8707), if it is one of ours.
///
/// # Errors
/// `invalid_target`.
pub fn resource_of(parameters: &Parameters, resources: &[String]) -> Result<Option<String>, Refusal> {
    let Some(asked) = parameters.get("resource") else { return Ok(None) };
    // `https://purser.test` and `https://purser.test/` are one resource
    let same = |known: &&String| known.trim_end_matches('/') == asked.trim_end_matches('/');
    let unknown = || Refusal::new("invalid_target", "tokens for this resource are not issued here");
    resources.iter().find(same).cloned().map(Some).ok_or_else(unknown)
}

fn challenge(parameters: &Parameters) -> Result<String, Refusal> {
    let challenge =
        parameters.get("code_challenge").ok_or_else(|| Refusal::invalid("`code_challenge` is missing: codes work with PKCE only"))?;
    // Left out, the method would be `plain` (RFC 7636, 4.3), which protects nothing that was seen on the way.
    if parameters.get("code_challenge_method") != Some("S256") {
        return Err(Refusal::invalid("`code_challenge_method` must be `S256`"));
    }
    if is_digest(challenge) {
        Ok(challenge.to_owned())
    } else {
        Err(Refusal::invalid("`code_challenge` is not a SHA-256 digest in base64url"))
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == DIGEST_CHARS && purser_crypto::encoding::b64url_decode(text).is_some_and(|bytes| bytes.len() == 32)
}

/// Words that nobody here knows are left out, as RFC 6749, 3.3 allows; one that the client may not ask for is refused.
pub(super) fn scope_of(parameters: &Parameters, client: &Client) -> Result<Scope, Refusal> {
    let asked: Scope = parameters.get("scope").unwrap_or_default().parse().map_err(|e| Refusal::new("invalid_scope", format!("{e}")))?;
    let known = asked.filter(|word| OF_PERSONS.contains(&word));
    if known.is_within(&client.metadata.scope) {
        Ok(known)
    } else {
        Err(Refusal::new("invalid_scope", "the client is not registered for all of this scope"))
    }
}

fn prompt(parameters: &Parameters) -> Result<Prompt, Refusal> {
    let mut prompt = Prompt::default();
    for word in parameters.get("prompt").unwrap_or_default().split_ascii_whitespace() {
        match word {
            "none" => prompt.none = true,
            // whoever would choose another account signs in with it
            "login" | "select_account" => prompt.login = true,
            "consent" => prompt.consent = true,
            _ => return Err(Refusal::invalid("`prompt` holds a word that is not known here")),
        }
    }
    if prompt.none && (prompt.login || prompt.consent) {
        Err(Refusal::invalid("`prompt` says `none` and something else"))
    } else {
        Ok(prompt)
    }
}

fn max_age(parameters: &Parameters) -> Result<Option<i64>, Refusal> {
    let age: Option<i64> = parameters.parsed("max_age").map_err(|e| Refusal::invalid(e.to_string()))?;
    if age.is_some_and(|age| age < 0) { Err(Refusal::invalid("`max_age` is a number of seconds")) } else { Ok(age) }
}

fn bounded(parameters: &Parameters, name: &'static str, chars: usize) -> Result<Option<String>, Refusal> {
    match parameters.get(name) {
        Some(text) if text.len() > chars => Err(Refusal::invalid(format!("`{name}` is longer than {chars} characters"))),
        found => Ok(found.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{RawMetadata, Trust};

    const GOOD: &str = "response_type=code&redirect_uri=https%3A%2F%2Fc.test%2Fcb&scope=openid+email&state=s&nonce=n\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256";

    fn client() -> Client {
        let raw = RawMetadata { redirect_uris: Some(vec!["https://c.test/cb".to_owned()]), ..RawMetadata::default() };
        let metadata = raw.well_formed(Trust::Open, false).unwrap();
        Client { id: "cli_c".parse().unwrap(), trust: Trust::Open, organisation: None, metadata, secret_hash: None }
    }

    fn read(text: &str) -> Result<Asked, Refusal> {
        let parameters = Parameters::parse(text.as_bytes()).unwrap();
        let redirect = super::super::redirect_of(&parameters, &client()).unwrap();
        Asked::read(&parameters, &client(), redirect, None, &["https://purser.test".to_owned()])
    }

    #[test]
    fn a_good_request_is_read_and_what_is_unknown_is_left_out() {
        let asked = read(&GOOD.replace("email", "email+wings")).unwrap();
        assert_eq!(asked.scope.to_string(), "openid email");
        assert_eq!(asked.answer("https://purser.test", &[("code", "x")]), "https://c.test/cb?code=x&state=s&iss=https%3A%2F%2Fpurser.test");
        assert_eq!(read(&format!("{GOOD}&resource=https://purser.test/")).unwrap().resource.as_deref(), Some("https://purser.test"));
    }

    #[test]
    fn what_weakens_the_code_or_is_not_done_here_is_refused_by_name() {
        for (change, error) in [
            (("&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", ""), "invalid_request"),
            (("&code_challenge_method=S256", ""), "invalid_request"),
            (("=S256", "=plain"), "invalid_request"),
            (("=S256", "=s256"), "invalid_request"),
            (("cM&", "c&"), "invalid_request"),
            (("response_type=code", "response_type=token"), "unsupported_response_type"),
            (("response_type=code", "response_type=code+id_token"), "unsupported_response_type"),
            (("response_type=code&", ""), "invalid_request"),
            (("state=s", "state=s&response_mode=fragment"), "invalid_request"),
            (("state=s", "prompt=none+login"), "invalid_request"),
            (("state=s", "prompt=wink"), "invalid_request"),
            (("state=s", "max_age=-1"), "invalid_request"),
            (("state=s", "max_age=soon"), "invalid_request"),
            (("state=s", "request=ey.ey.x"), "request_not_supported"),
            (("state=s", "registration=%7B%7D"), "registration_not_supported"),
            (("state=s", "resource=https://evil.test"), "invalid_target"),
            (("state=s", "resource=https://purser.test.evil.test"), "invalid_target"),
            (("state=s", "dpop_jkt=short"), "invalid_request"),
            (("scope=openid+email", "scope=openid++email"), "invalid_scope"),
        ] {
            let refused = read(&GOOD.replace(change.0, change.1)).unwrap_err();
            assert_eq!(refused.error, error, "{change:?}");
        }

        assert!(read(&GOOD.replace("state=s", &format!("state={}", "x".repeat(2_049)))).is_err());
    }

    #[test]
    fn an_answer_goes_nowhere_but_to_a_registered_address() {
        for bad in [
            "https://evil.test/cb",
            "https://c.test/cb/",
            "https://c.test/CB",
            "https://c.test/cb?x=1",
            "https://c.test@evil.test/cb",
            "//c.test/cb",
            "javascript:alert(1)",
        ] {
            let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("redirect_uri", bad).finish();
            let refused = super::super::redirect_of(&Parameters::parse(query.as_bytes()).unwrap(), &client()).unwrap_err();
            assert_eq!(refused, super::super::RedirectError::Unregistered, "{bad}");
        }
    }
}
