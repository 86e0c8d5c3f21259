//! `/agents`: who acts for the organisation, and how to stop them.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use purser_authority::action::{AgentFreeze, AgentRead, AgentThaw, GrantRevoke};
use purser_authority::{Attempt, Facts, authorise};
use purser_db::{DbError, Tx};
use purser_identity::agent::{Above, AgentGrants, Standing, agents_list};
use purser_identity::grant::{Grant, GrantState};
use purser_provisioning::store::control::{self, Control};
use purser_provisioning::{agent_freeze, agent_thaw, grant_revoke, perform};
use purser_values::Timestamp;
use purser_values::id::{AgentId, GrantId};
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;
use crate::membership::could;

#[derive(Template)]
#[template(path = "agents.html")]
pub struct Agents {
    ctx: PageContext,
    agents: Vec<AgentView>,
    may: May,
}

/// What the person's role lets them do here; the rest is not offered.
struct May {
    freeze: bool,
    thaw: bool,
    end: bool,
}

struct AgentView {
    id: String,
    name: String,
    fingerprint: String,
    /// The agent that let it in.
    helper_of: Option<AboveView>,
    /// The frozen agent above it.
    stopped_with: Option<AboveView>,
    since: String,
    frozen_at: Option<String>,
    /// Whether a budget that is spent did it, and no person.
    by_budget: bool,
    dark: bool,
    /// What providers were told of it.
    told: Vec<ToldView>,
    grants: Vec<GrantView>,
}

struct AboveView {
    id: String,
    name: String,
}

struct ToldView {
    provider: String,
    wanted: String,
    confirmed: bool,
}

struct GrantView {
    id: String,
    projects: String,
    environments: String,
    providers: String,
    services: String,
    cap: String,
    own_caps: String,
    total: Option<String>,
    helpers: bool,
    irreversible: bool,
    export: bool,
    accepted_at: String,
    state: String,
    in_force: bool,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<Agents>, PageError> {
    let (caller, now) = (session.caller(), front.realm.env.now());
    let permit = authorise::<AgentRead>(&caller, &Facts::new(now, "agents"))?;
    let list = move |tx: &mut Tx<'_>| -> Result<Vec<_>, DbError> {
        agents_list(tx, &permit)?.into_iter().map(|of| Ok((control::of_agent(tx, &of.agent.id)?, of))).collect()
    };
    let agents = front.core.db.read(list).await?.iter().map(|(told, of)| agent_view(of, told, now)).collect();
    let may = May { freeze: could::<AgentFreeze>(&caller), thaw: could::<AgentThaw>(&caller), end: could::<GrantRevoke>(&caller) };
    Ok(Page::ok(Agents { ctx: PageContext::of(&front, &session, "Agents"), agents, may }))
}

#[derive(Deserialize)]
pub struct Freeze {
    dark: Option<String>,
}

pub async fn freeze(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Freeze>) -> Result<Response, PageError> {
    let id: AgentId = id.parse().map_err(|_| PageError::not_found())?;
    let (caller, env, dark) = (signed.session.caller(), front.realm.env.clone(), signed.form.dark.is_some());
    let attempt = Attempt::new("agent_freeze", &caller, id.as_str());
    perform(&front.core, attempt, move |tx| agent_freeze(tx, &env, &caller, &id, dark)).await?;
    Ok(back())
}

#[derive(Deserialize)]
pub struct Nothing {}

pub async fn thaw(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let id: AgentId = id.parse().map_err(|_| PageError::not_found())?;
    let (caller, env) = (signed.session.caller(), front.realm.env.clone());
    let attempt = Attempt::new("agent_thaw", &caller, id.as_str());
    perform(&front.core, attempt, move |tx| agent_thaw(tx, &env, &caller, &id)).await?;
    Ok(back())
}

pub async fn revoke(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    let id: GrantId = id.parse().map_err(|_| PageError::not_found())?;
    let (caller, env) = (signed.session.caller(), front.realm.env.clone());
    let attempt = Attempt::new("grant_revoke", &caller, id.as_str());
    perform(&front.core, attempt, move |tx| grant_revoke(tx, &env, &caller, &id, "agents page")).await?;
    Ok(back())
}

fn back() -> Response {
    Redirect::to("/agents").into_response()
}

fn agent_view(of: &AgentGrants, told: &[Control], now: Timestamp) -> AgentView {
    let agent = &of.agent;
    let (frozen_at, dark, by_budget) = match &agent.standing {
        Standing::Active => (None, false, false),
        Standing::Frozen { at, dark, alert, .. } => (Some(at.for_people()), *dark, alert.is_some()),
    };
    AgentView {
        id: agent.id.to_string(),
        name: agent.name.to_string(),
        fingerprint: agent.jkt.clone(),
        helper_of: of.parent.as_ref().map(above_view),
        stopped_with: of.stopped_with.as_ref().map(above_view),
        since: agent.created_at.for_people(),
        frozen_at,
        by_budget,
        dark,
        told: told
            .iter()
            .map(|c| ToldView { provider: c.provider.to_string(), wanted: c.wanted.clone(), confirmed: c.is_confirmed() })
            .collect(),
        grants: of.grants.iter().map(|g| grant_view(of, g, now)).collect(),
    }
}

fn above_view(above: &Above) -> AboveView {
    AboveView { id: above.id.to_string(), name: above.name.to_string() }
}

fn grant_view(of: &AgentGrants, grant: &Grant, now: Timestamp) -> GrantView {
    GrantView {
        id: grant.id.to_string(),
        projects: grant.scope.projects.to_string(),
        environments: grant.scope.environments.to_string(),
        providers: grant.scope.providers.to_string(),
        services: grant.scope.services.to_string(),
        own_caps: grant.scope.caps.iter().map(|(name, cap)| format!(", {cap} at {name}")).collect(),
        total: grant.scope.total.map(|total| total.to_string()),
        helpers: grant.scope.actions.iter().any(|action| action == "agent_delegate"),
        cap: grant.scope.cap_per_provider_month.to_string(),
        irreversible: grant.scope.irreversible,
        export: grant.scope.export,
        accepted_at: grant.accepted_at.for_people(),
        state: match &grant.state {
            GrantState::Revoked { at, how } => format!("revoked {} ({how})", at.for_people()),
            GrantState::InForce if now >= grant.scope.expires_at => format!("ended {}", grant.scope.expires_at.for_people()),
            GrantState::InForce if !of.holds(grant, now) => "ended with the grant above it".to_owned(),
            GrantState::InForce => format!("in force until {}", grant.scope.expires_at.for_people()),
        },
        in_force: of.holds(grant, now),
    }
}
