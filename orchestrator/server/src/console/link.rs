//! `/link/{request}` and `/link/callback/{provider}`: the person connects an account that exists, or says what a provider wants to know.
//!
//! The way to the provider is shown as text and link, never gone by itself; the way back must be this browser's, signed in as the
//! person who was asked. A code stays no longer in the address bar than it takes to be written down.

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::Attempt;
use purser_provisioning::link::{BrowserAnswer, LinkError, LinkView, Returned, Stands, link_inform, link_return, link_view};
use purser_provisioning::perform;
use purser_values::Secret;
use purser_values::name::ProviderName;
use serde_json::{Map, Value};

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

/// Longest value of one parameter of a callback, in bytes.
const PARAMETER_BYTES: usize = 2_048;
/// Most fields that a form for a provider's questions has.
const FIELDS: usize = 32;

#[derive(Template)]
#[template(path = "link.html")]
pub struct LinkPage {
    ctx: PageContext,
    provider: String,
    agent: Option<String>,
    request: String,
    until: String,
    /// The provider's page, while the person has to go there.
    url: Option<String>,
    fields: Vec<Field>,
    /// What there is to know where there is nothing to do.
    said: &'static str,
    failure: Option<String>,
}

/// One question of a provider.
pub(super) struct Field {
    pub name: String,
    pub description: String,
    pub required: bool,
    pub number: bool,
    pub choices: Vec<String>,
}

pub async fn get(
    State(front): State<Front>,
    Path(request): Path<String>,
    SignedIn(session): SignedIn,
) -> Result<Page<LinkPage>, PageError> {
    let (caller, env, keyring) = (session.caller(), front.realm.env.clone(), front.core.keyring.clone());
    let view = front.core.db.read(move |tx| link_view(tx, &env, &keyring, &caller, &request)).await?;
    Ok(Page::ok(shown(PageContext::of(&front, &session, "Connect an account"), view)))
}

fn shown(ctx: PageContext, view: LinkView) -> LinkPage {
    let until = view.expires_at.map(purser_values::Timestamp::for_people).unwrap_or_default();
    let mut page = LinkPage {
        ctx,
        provider: view.provider.to_string(),
        agent: view.agent,
        request: view.request,
        until,
        url: None,
        fields: Vec::new(),
        said: "",
        failure: None,
    };
    match view.stands {
        Stands::ToProvider(url) => page.url = Some(url.expose().clone()),
        Stands::ToInform(schema) => page.fields = fields(&schema),
        Stands::GoesOn => page.said = "That is all. The agent goes on by itself; you can close this page.",
        Stands::Connected => page.said = "The account is connected. You can close this page.",
        Stands::Late => page.said = "The time to answer is over. Nothing was connected; the agent can ask again.",
        Stands::Failed(failure) => {
            page.said = "Nothing was connected.";
            page.failure = Some(failure.message);
        }
    }
    page
}

/// The members of a schema that a form can ask for: texts, numbers and choices.
pub(super) fn fields(schema: &Value) -> Vec<Field> {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let members = schema["properties"].as_object().into_iter().flatten().take(FIELDS);
    members
        .map(|(name, member)| Field {
            name: name.clone(),
            description: purser_wire::text::excerpt(member["description"].as_str().unwrap_or_default(), 200),
            required: required.contains(&name.as_str()),
            number: matches!(member["type"].as_str(), Some("integer" | "number")),
            choices: member["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
        })
        .collect()
}

pub async fn inform(
    State(front): State<Front>,
    Path(request): Path<String>,
    signed: SignedForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let (caller, env, keyring) = (signed.session.caller(), front.realm.env.clone(), front.core.keyring.clone());
    let (look_caller, look_env, look_ring, of) = (caller.clone(), env.clone(), keyring.clone(), request.clone());
    let view = front.core.db.read(move |tx| link_view(tx, &look_env, &look_ring, &look_caller, &of)).await?;
    let Stands::ToInform(schema) = view.stands else { return Err(LinkError::NotAsked.into()) };
    let information = information(&fields(&schema), &signed.form)?;
    let of = request.clone();
    perform(&front.core, Attempt::new("account_link", &caller.clone(), request.clone()), move |tx| {
        link_inform(tx, &env, &keyring, &caller, &of, &information)
    })
    .await?;
    Ok(Redirect::to(&format!("/link/{request}")).into_response())
}

/// The answers to the questions of the schema, and to nothing else.
pub(super) fn information(fields: &[Field], sent: &[(String, String)]) -> Result<Map<String, Value>, PageError> {
    let mut information = Map::new();
    for field in fields {
        let typed = sent.iter().find(|(name, _)| name.strip_prefix("field.") == Some(&field.name)).map(|(_, value)| value.trim());
        let Some(typed) = typed.filter(|typed| !typed.is_empty()) else { continue };
        let value = match (field.number, serde_json::from_str::<Value>(typed)) {
            (true, Ok(number)) if number.is_number() => number,
            (true, _) => return Err(PageError::new(StatusCode::BAD_REQUEST, "invalid_body", "a number is expected there")),
            (false, _) => Value::String(typed.to_owned()),
        };
        information.insert(field.name.clone(), value);
    }
    Ok(information)
}

/// What a provider's page sends the person back with.
pub async fn callback(
    State(front): State<Front>,
    Path(provider): Path<ProviderName>,
    RawQuery(query): RawQuery,
    SignedIn(session): SignedIn,
) -> Result<Response, PageError> {
    let back = returned(provider, query.as_deref().unwrap_or_default())?;
    let (caller, env, keyring) = (session.caller(), front.realm.env.clone(), front.core.keyring.clone());
    let attempt = Attempt::new("account_link", &caller, back.provider.as_str());
    let request = perform(&front.core, attempt, move |tx| link_return(tx, &env, &keyring, &caller, &back)).await?;
    Ok(Redirect::to(&format!("/link/{request}")).into_response())
}

/// Reads the parameters. One that comes twice could mean two things, so it means nothing (RFC 6749, section 3.1).
fn returned(provider: ProviderName, query: &str) -> Result<Returned, PageError> {
    let unusable = || PageError::new(StatusCode::BAD_REQUEST, "link_unusable", "the provider's page sent you back without a usable answer");
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let one = |name: &str| -> Result<Option<String>, PageError> {
        let mut found = pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v);
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some(value), None) if !value.is_empty() && value.len() <= PARAMETER_BYTES => Ok(Some(value.clone())),
            _ => Err(unusable()),
        }
    };
    let (state, code, error) = (one("state")?.ok_or_else(unusable)?, one("code")?, one("error")?);
    let answer = match (code, error) {
        (Some(code), None) => BrowserAnswer::Code(Secret::new(code)),
        (None, Some(error)) => BrowserAnswer::Refused(error),
        _ => return Err(unusable()),
    };
    Ok(Returned { provider, state: Secret::new(state), issuer: one("iss")?, answer })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_is_one_state_with_one_code_or_one_error() {
        let read = |query: &str| returned("p".parse().unwrap(), query);
        assert!(matches!(read("state=s&code=c&iss=i").unwrap().answer, BrowserAnswer::Code(_)));
        assert!(matches!(read("state=s&error=access_denied").unwrap().answer, BrowserAnswer::Refused(_)));
        for bad in [
            "",
            "code=c",
            "state=s",
            "state=s&code=",
            "state=s&code=c&error=e",
            "state=s&state=t&code=c",
            "state=s&code=c&code=d",
            "state=s&code=c&iss=a&iss=b",
        ] {
            assert!(read(bad).is_err(), "`{bad}` was taken");
        }
        assert!(read(&format!("state=s&code={}", "x".repeat(PARAMETER_BYTES + 1))).is_err());
    }
}
