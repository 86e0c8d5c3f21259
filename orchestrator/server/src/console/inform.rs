//! `/inform/{resource}`: a provider wants to know something before it makes what an agent ordered, and the person says it here.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use purser_authority::Attempt;
use purser_provisioning::perform;
use purser_provisioning::resource::inform::{InformError, InformView, inform_view, resource_inform};
use purser_values::id::ResourceId;

use super::failure::PageError;
use super::form::SignedForm;
use super::link::{Field, fields, information};
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

#[derive(Template)]
#[template(path = "inform.html")]
pub struct InformPage {
    ctx: PageContext,
    resource: String,
    provider: String,
    service: String,
    /// What the agent ordered, as it said it.
    configuration: String,
    agent: Option<String>,
    until: String,
    fields: Vec<Field>,
    /// What there is to know where there is nothing to do.
    said: &'static str,
}

pub async fn get(State(front): State<Front>, Path(id): Path<String>, SignedIn(session): SignedIn) -> Result<Page<InformPage>, PageError> {
    let (caller, env, id) = (session.caller(), front.realm.env.clone(), resource(&id)?);
    let view = front.core.db.read(move |tx| inform_view(tx, &env, &caller, &id)).await?;
    Ok(Page::ok(shown(PageContext::of(&front, &session, "Answer a provider"), view)))
}

fn shown(ctx: PageContext, view: InformView) -> InformPage {
    let mut page = InformPage {
        ctx,
        resource: view.resource.to_string(),
        provider: view.provider,
        service: view.service,
        configuration: view.configuration.to_string(),
        agent: view.agent,
        until: String::new(),
        fields: Vec::new(),
        said: "",
    };
    match view.asked {
        None => page.said = "Nothing is asked for any more. You can close this page.",
        Some(asked) if asked.is_answered => page.said = "That is all. The agent goes on by itself; you can close this page.",
        Some(asked) if asked.is_late => page.said = "The time to answer is over. Nothing was bought; the agent can ask again.",
        Some(asked) => {
            page.until = asked.expires_at.for_people();
            page.fields = fields(&asked.schema);
        }
    }
    page
}

pub async fn post(
    State(front): State<Front>,
    Path(id): Path<String>,
    signed: SignedForm<Vec<(String, String)>>,
) -> Result<Response, PageError> {
    let (caller, env, keyring, id) = (signed.session.caller(), front.realm.env.clone(), front.core.keyring.clone(), resource(&id)?);
    let (looking, look_env, of) = (caller.clone(), env.clone(), id.clone());
    let view = front.core.db.read(move |tx| inform_view(tx, &look_env, &looking, &of)).await?;
    let asked = view.asked.ok_or(InformError::Unknown)?;
    let answer = information(&fields(&asked.schema), &signed.form)?;
    let of = id.clone();
    let attempt = Attempt::new("resource_inform", &caller, id.as_str());
    let by = caller.clone();
    perform(&front.core, attempt, move |tx| resource_inform(tx, &env, &keyring, &by, &of, &answer)).await?;
    Ok(Redirect::to(&format!("/inform/{id}")).into_response())
}

fn resource(id: &str) -> Result<ResourceId, PageError> {
    id.parse().map_err(|_| InformError::Unknown.into())
}
