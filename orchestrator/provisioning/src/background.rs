//! What runs beside requests: sagas, jobs and the look at providers.

use std::collections::HashMap;
use std::sync::Arc;

use purser_db::DbError;
use purser_db::jobs::{Handler, Job, JobFailure, Runner};
use purser_flow::Engine;
use purser_identity::{agent, person};
use purser_notify::{Mail, Subject, Transport, mail_job};
use purser_spend::alert::{self, Alert};
use serde_json::Value;

use crate::agent_control::{AGENT_CONTROL_JOB, AgentControlJob};
use crate::app::App;
use crate::charges::{self, Rails};
use crate::{deploy, freeze, resource};

/// Every kind of saga that this version can run.
#[must_use]
pub fn sagas(app: &App) -> Engine {
    Engine::builder()
        .with(resource::add_saga::definition(app))
        .with(resource::remove::definition(app))
        .with(resource::rotate::definition(app))
        .with(deploy::definition(app))
        .build(app.core.db.clone(), app.core.env.clone())
}

/// Every kind of job that this version can run.
#[must_use]
pub fn jobs(app: &App, rails: &Rails, mail: Transport) -> Runner {
    let mut handlers: HashMap<&'static str, Handler> = HashMap::new();
    handlers.insert(purser_notify::JOB_KIND, purser_notify::handler(app.core.keyring.clone(), mail));
    let control = app.clone();
    handlers.insert(
        AGENT_CONTROL_JOB,
        Arc::new(move |job: Job| {
            let app = control.clone();
            Box::pin(async move {
                let told: AgentControlJob = serde_json::from_value(job.payload).map_err(|_| unreadable())?;
                freeze::run_job(app, told.agent, told.provider).await
            })
        }),
    );
    let (charging, rails) = (app.clone(), rails.clone());
    handlers.insert(
        purser_spend::charge::RESUME_JOB,
        Arc::new(move |job: Job| {
            let (app, rails) = (charging.clone(), rails.clone());
            Box::pin(async move {
                match field(&job.payload, "charge") {
                    Some(charge) => charges::resume(app, rails, charge).await,
                    None => Err(unreadable()),
                }
            })
        }),
    );
    let alerting = app.clone();
    handlers.insert(
        alert::JOB,
        Arc::new(move |job: Job| {
            let app = alerting.clone();
            Box::pin(async move { send_alert(app, job).await })
        }),
    );
    Runner::new(app.core.db.clone(), app.core.env.clone(), handlers, app.core.jobs.clone())
}

/// A cap's threshold was reached: one mail to each person whose grant the agent holds.
async fn send_alert(app: App, job: Job) -> Result<(), JobFailure> {
    let alert: Alert = serde_json::from_value(job.payload).map_err(|_| unreadable())?;
    let (core, limits) = (app.core.clone(), app.page("/limits"));
    let id = job.id;
    app.core
        .db
        .write::<_, DbError, _>(move |tx| {
            let Some(found) = agent::find(tx, &alert.agent)? else { return Ok(()) };
            let mut to = Vec::new();
            for grant in purser_identity::grant::of_agent(tx, &alert.agent)? {
                if let Some(member) = person::member(tx, &alert.organisation, &grant.person)? {
                    to.push(member.person.email);
                }
            }
            to.sort();
            to.dedup();
            for email in to {
                let mail = Mail { to: email.clone(), subject: Subject::new(&alert.subject()), text: alert.text(found.name.as_str(), &limits) };
                let mut job = mail_job(&core.keyring, &core.env, &mail).map_err(|e| DbError::Other(e.to_string()))?;
                // Exactly once for each reader, also when this job runs twice.
                job.dedupe = Some(format!("alert_mail:{id}:{email}"));
                purser_db::jobs::enqueue(tx, &core.env, &job)?;
            }
            Ok(())
        })
        .await
        .map_err(|e| JobFailure::Again { why: e.to_string(), limit: None })?;
    app.core.jobs.notify_one();
    Ok(())
}

fn field<T: std::str::FromStr>(payload: &Value, name: &str) -> Option<T> {
    payload[name].as_str()?.parse().ok()
}

fn unreadable() -> JobFailure {
    JobFailure::Park { why: "the payload does not read back".to_owned() }
}
