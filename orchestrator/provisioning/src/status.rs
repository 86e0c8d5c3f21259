//! A project at a glance: accounts, resources, deployments, sagas under way.

use purser_authority::action::{ProjectCreate, ProjectRead};
use purser_authority::{Attempt, Caller, Denied, Done, Event, Facts, authorise};
use purser_db::{DbError, Tx};
use purser_identity::{Realm, person, standing};
use purser_spend::{charge, hold};
use purser_values::name::{EnvironmentName, ProjectName};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::OpError;
use crate::perform;
use crate::resource::inform;
use crate::store::link::{self, Status};
use crate::store::project::{self, Project};
use crate::store::{account, deployment, ending, information, resource};
use crate::variables::own_project;

/// Deployments that a status tells.
const DEPLOYMENTS: i64 = 10;

/// Makes the project, or finds it: the name is the key.
///
/// # Errors
/// When the caller may not make it.
pub async fn project_create(app: &App, caller: &Caller, name: ProjectName) -> Result<Project, OpError> {
    let (env, caller_in) = (app.core.env.clone(), caller.clone());
    perform(&app.core, Attempt::new("project_create", caller, name.as_str()), move |tx| {
        let organisation = caller_in.organisation().ok_or(Denied::Anonymous)?;
        let standing = standing(tx, env.now(), &caller_in)?;
        let facts = Facts { project: Some(&name), ..standing.facts(env.now(), name.as_str()) };
        let permit = authorise::<ProjectCreate>(&caller_in, &facts)?;
        let (project, made) = project::ensure(tx, &env, organisation, &name)?;
        let event = Event::done(permit.verb(), permit.caller(), project.id.as_str()).with(json!({ "name": name }));
        Ok(if made { Done::with_event(project, event) } else { Done::quiet(project) })
    })
    .await
}

/// # Errors
/// When the caller may not look, or there is no such project.
pub async fn project_read(app: &App, caller: &Caller, name: ProjectName, environment: EnvironmentName) -> Result<Value, OpError> {
    let (env, realm, caller) = (app.core.env.clone(), app.realm.clone(), caller.clone());
    app.core
        .db
        .read(move |tx| {
            let found = own_project(tx, &caller, &name)?;
            let standing = standing(tx, env.now(), &caller)?;
            let facts = Facts { project: Some(&found.name), environment: Some(&environment), owner: Some(&found.organisation), ..standing.facts(env.now(), found.id.as_str()) };
            let _permit = authorise::<ProjectRead>(&caller, &facts)?;
            let mut resources = Vec::new();
            let names = purser_vault::names(tx, &found.id, &environment)?;
            for r in resource::in_environment(tx, &found.id, &environment)? {
                let variables: Vec<&str> = names.iter().filter(|c| c.resource == r.id).map(|c| c.variable.as_str()).collect();
                resources.push(json!({
                    "id": r.id, "name": r.name, "service": r.service_ref(), "state": r.state.name(), "endpoints": r.endpoints,
                    "variables": variables, "agent": r.agent, "saga": r.saga, "created_at": r.created_at,
                    "waits_for": resource_waits_for(tx, &realm, &r)?, "ends_at": ending::ends_at(tx, &r.id)?,
                }));
            }
            let mut accounts = Vec::new();
            for a in account::list(tx, &found.organisation)? {
                let waits = waits_for(tx, &realm, &a)?;
                accounts.push(json!({
                    "id": a.id, "provider": a.provider, "provider_account": a.provider_account, "since": a.created_at, "waits_for": waits,
                }));
            }
            let deployments: Vec<Value> = deployment::in_environment(tx, &found.id, &environment, DEPLOYMENTS)?
                .into_iter()
                .map(|d| json!({"id": d.id, "script": d.script, "state": d.state, "code_digest": d.code_digest, "urls": d.urls, "domain": d.domain, "at": d.created_at}))
                .collect();
            Ok(json!({
                "project": {"id": found.id, "name": found.name}, "environment": environment, "accounts": accounts,
                "resources": resources, "deployments": deployments, "frozen": standing.frozen,
            }))
        })
        .await
}

/// The person who has to act before a resource that is being made goes on, and where: at their bank, or on our page.
fn resource_waits_for(tx: &mut Tx<'_>, realm: &Realm, row: &resource::Resource) -> Result<Option<Value>, DbError> {
    if row.state != resource::State::Creating {
        return Ok(None);
    }
    if let Some(asked) = information::find(tx, &row.id)?.filter(|asked| !asked.is_answered() && !asked.is_late(realm.env.now())) {
        let person = person::member(tx, &row.organisation, &row.person)?.map(|member| member.person.email);
        return Ok(Some(json!({"person": person, "url": realm.url(&inform::page(&row.id)), "until": asked.expires_at})));
    }
    for held in hold::of_resource(tx, &row.id)? {
        let Some(waiting) = charge::waiting_of_hold(tx, &held.id)? else { continue };
        let asked = person::member(tx, &row.organisation, &row.person)?.map(|member| member.person.email);
        let url = realm.url(&format!("/confirm/{}", waiting.charge));
        return Ok(Some(json!({"person": asked, "url": url, "until": waiting.until, "amount": waiting.amount})));
    }
    Ok(None)
}

/// The person who has to act before there is an account, and where.
fn waits_for(tx: &mut Tx<'_>, realm: &Realm, account: &account::Account) -> Result<Option<Value>, DbError> {
    let Some(attempt) = link::find(tx, &account.id)? else { return Ok(None) };
    if attempt.is_late(realm.env.now()) || !matches!(attempt.status, Status::Waiting | Status::Information) {
        return Ok(None);
    }
    let asked = person::member(tx, &attempt.organisation, &attempt.person)?;
    Ok(Some(json!({
        "person": asked.map(|member| member.person.email), "url": realm.url(&format!("/link/{}", attempt.request)), "until": attempt.expires_at,
    })))
}
