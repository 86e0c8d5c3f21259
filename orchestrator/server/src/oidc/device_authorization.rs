//! `POST /oauth/device_authorization` (RFC 8628, 3.1): an agent, a person's terminal, or a registered client asks.
//!
//! Agents and terminals are known by their key (DPoP) and name no client; a client proves itself and asks for a sign-on.

mod sign_on;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Request, State};
use purser_authority::action::GrantRequest;
use purser_authority::{Attempt, Caller, Facts, Reach, authorise};
use purser_http::extract::FormBytes;
use purser_http::misfit;
use purser_identity::grant_request::{Ask, AskedScope, Asker, UserCode, device_authorization_start};
use purser_identity::limits::GRANT_LIFE_S;
use purser_identity::parameters::Parameters;
use purser_provisioning::perform;
use purser_values::limits::DEFAULT_CAP_MINOR;
use purser_values::name::ProviderName;
use purser_values::{Currency, Money, Secret, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::OAuthError;
use super::{client_auth, known, proof};
use crate::front::Front;
use crate::peer::Peer;

const PATH: &str = "/oauth/device_authorization";

#[derive(Default, Deserialize)]
pub(super) struct Body {
    /// The name that the agent claims.
    pub(super) client_name: Option<String>,
    pub(super) kind: Option<String>,
    /// Names, separated by spaces; `*` means all where that can be granted.
    pub(super) project: Option<String>,
    pub(super) environments: Option<String>,
    pub(super) providers: Option<String>,
    pub(super) services: Option<String>,
    pub(super) actions: Option<String>,
    pub(super) cap_minor: Option<i64>,
    pub(super) caps_minor: Option<String>,
    pub(super) total_minor: Option<i64>,
    pub(super) export: Option<String>,
    pub(super) irreversible: Option<String>,
    pub(super) delegate: Option<String>,
    pub(super) expires_in: Option<i64>,
}

#[derive(Serialize)]
pub struct Answer {
    device_code: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: String,
    expires_in: i64,
    interval: u32,
}

pub async fn post(State(front): State<Front>, Peer(peer): Peer, request: Request) -> Result<Json<Answer>, OAuthError> {
    let (head, FormBytes(body)) = FormBytes::read(request).await.map_err(OAuthError::body)?;
    let headers = head.headers;
    let parameters = Parameters::parse(&body)?;
    let proof = proof::optional(&front, &headers, PATH)?;
    if let Some(client) = client_auth::optional(&front, &headers, &parameters, PATH).await? {
        return sign_on::start(&front, peer, &parameters, client, proof).await.map(Json);
    }
    let proof =
        proof.ok_or_else(|| OAuthError::invalid_request("send a DPoP proof, as an agent, or the `client_id` of a registered client"))?;
    let body: Body = misfit::urlencoded(&body).map_err(|e| OAuthError::invalid_request(e.to_string()))?;
    let known = known::providers(&front, body.providers.as_deref()).await?;
    let asker = asker(known, &body)?;
    known::services(&front, &asker).await?;
    let ask = Ask { asker, name: name(&body)?, peer };
    let realm = front.realm.clone();
    let attempt = Attempt::new("grant_request", &Caller::Anonymous, proof.jkt());
    let started = perform(&front.core, attempt, move |tx| {
        let facts = Facts::new(realm.env.now(), proof.jkt());
        let permit = authorise::<GrantRequest>(&Caller::Anonymous, &facts)?;
        device_authorization_start(tx, &realm, permit, &ask, &proof)
    })
    .await?;
    Ok(Json(answer(&front, &started.device_code, &started.user_code, started.expires_at)))
}

fn answer(front: &Front, device_code: &Secret<String>, user_code: &UserCode, expires_at: Timestamp) -> Answer {
    let verification_uri = front.realm.url("/device");
    Answer {
        device_code: device_code.expose().clone(),
        user_code: user_code.to_string(),
        verification_uri_complete: format!("{verification_uri}?user_code={user_code}"),
        verification_uri,
        expires_in: expires_at.as_secs() - front.realm.env.now().as_secs(),
        interval: 1,
    }
}

fn name(body: &Body) -> Result<purser_identity::agent::AgentName, OAuthError> {
    let name = body.client_name.as_deref().ok_or_else(|| OAuthError::invalid_request("`client_name` is missing"))?;
    name.parse().map_err(|e| OAuthError::invalid_request(format!("`client_name`: {e}")))
}

/// An agent that names no provider asks for all that are known now, each written out.
pub(super) fn asker(known: Vec<ProviderName>, body: &Body) -> Result<Asker, OAuthError> {
    match body.kind.as_deref() {
        None | Some("agent") => {}
        Some("person") => return Ok(Asker::Person),
        Some(_) => return Err(OAuthError::invalid_request("`kind` is `agent` or `person`")),
    }
    let mut providers: Vec<ProviderName> = list(body.providers.as_deref())?;
    if let Some(unknown) = providers.iter().find(|p| !known.contains(p)) {
        let names: Vec<String> = known.iter().map(ToString::to_string).collect();
        let meant = known::instead(unknown.as_str(), &names);
        let refused = OAuthError::new("invalid_scope", format!("the provider `{unknown}` is not known here{meant}"));
        return Err(refused.hint("`purser catalog` lists the providers and what they offer"));
    }
    if providers.is_empty() {
        providers = known;
    }
    Ok(Asker::Agent(Box::new(AskedScope {
        projects: reach(body.project.as_deref().or(Some("")))?,
        environments: reach(body.environments.as_deref())?,
        providers: Reach::only(providers),
        services: reach(body.services.as_deref())?,
        actions: reach(body.actions.as_deref())?,
        cap: usd(body.cap_minor.unwrap_or(DEFAULT_CAP_MINOR)),
        caps: caps(body.caps_minor.as_deref())?,
        total: body.total_minor.map(usd),
        export: flag("export", body.export.as_deref())?,
        irreversible: flag("irreversible", body.irreversible.as_deref())?,
        delegate: flag("delegate", body.delegate.as_deref())?,
        life_s: body.expires_in.unwrap_or(GRANT_LIFE_S),
    })))
}

fn usd(minor: i64) -> Money {
    Money::from_minor(minor, Currency::USD)
}

/// Names, or `*` for all there are; what is not said at all is not confined.
fn reach<T>(text: Option<&str>) -> Result<Reach<T>, OAuthError>
where
    T: std::str::FromStr<Err: std::fmt::Display> + Ord,
{
    match text {
        None | Some("*") => Ok(Reach::All),
        Some(_) => Ok(Reach::only(list(text)?)),
    }
}

/// Ceilings of single providers: `slipway=2500 acme=0`.
fn caps(text: Option<&str>) -> Result<BTreeMap<ProviderName, Money>, OAuthError> {
    let mut caps = BTreeMap::new();
    for word in text.unwrap_or_default().split_ascii_whitespace() {
        let pair = word.split_once('=').and_then(|(name, minor)| Some((name.parse().ok()?, usd(minor.parse().ok()?))));
        let (name, cap) = pair.ok_or_else(|| OAuthError::new("invalid_scope", format!("`{word}` is not `provider=minor units`")))?;
        if caps.insert(name, cap).is_some() {
            return Err(OAuthError::new("invalid_scope", format!("`{word}` names a provider twice")));
        }
    }
    Ok(caps)
}

/// Names without repeats, in the order given.
fn list<T>(text: Option<&str>) -> Result<Vec<T>, OAuthError>
where
    T: std::str::FromStr<Err: std::fmt::Display> + PartialEq,
{
    let mut names = Vec::new();
    for word in text.unwrap_or_default().split_ascii_whitespace() {
        let name = word.parse().map_err(|e| OAuthError::new("invalid_scope", format!("{e}")))?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn flag(name: &str, text: Option<&str>) -> Result<bool, OAuthError> {
    match text {
        None | Some("0" | "") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(OAuthError::invalid_request(format!("`{name}` is `0` or `1`"))),
    }
}
