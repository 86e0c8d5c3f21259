//! What follows from an alert: mail to the people whose money it is, a message to each webhook, and the freeze that a budget wants.
//!
//! The job that sends an alert only enqueues, in one write: a mail for each person and a message for each address, each under a key
//! of its own. However often it runs, each of them is there once.

use std::sync::Arc;

use purser_authority::action::SpendRead;
use purser_authority::{Attempt, Caller, Permit};
use purser_db::jobs::{Handler, Job, JobFailure, NewJob};
use purser_db::{DbError, Tx};
use purser_identity::agent::FreezeError;
use purser_identity::{agent, grant, person};
use purser_notify::{Mail, Subject, mail_job};
use purser_spend::alert::{self, Alert};
use purser_spend::budget::watch::FREEZE_JOB;
use purser_spend::statement::StatementError;
use purser_values::Timestamp;
use purser_values::id::{AgentId, AlertId, OrganisationId};
use serde::Serialize;
use serde_json::json;

use crate::agent_control::agent_freeze;
use crate::app::App;
use crate::store::webhook::{self, Delivery};
use crate::webhook::{JOB as WEBHOOK_JOB, Message, jobs_for, send as send_webhook};
use crate::{notice, perform};

/// What alerts and webhooks need of the job runner.
#[must_use]
pub fn handlers(app: &App) -> Vec<(&'static str, Handler)> {
    let (sending, posting, freezing) = (app.clone(), app.clone(), app.clone());
    vec![
        (
            alert::JOB,
            Arc::new(move |job: Job| {
                let app = sending.clone();
                Box::pin(async move { send(app, job).await })
            }),
        ),
        (
            WEBHOOK_JOB,
            Arc::new(move |job: Job| {
                let app = posting.clone();
                Box::pin(async move { send_webhook(app, job).await })
            }),
        ),
        (
            FREEZE_JOB,
            Arc::new(move |job: Job| {
                let app = freezing.clone();
                Box::pin(async move { freeze(app, job).await })
            }),
        ),
    ]
}

fn id<T: std::str::FromStr>(job: &Job, name: &str) -> Result<T, JobFailure> {
    job.payload[name].as_str().and_then(|text| text.parse().ok()).ok_or_else(notice::unreadable)
}

async fn send(app: App, job: Job) -> Result<(), JobFailure> {
    let alert: AlertId = id(&job, "alert")?;
    let (core, limits) = (app.core.clone(), app.page("/limits"));
    let attempt = Attempt::new("alert_send", &Caller::System, alert.as_str());
    let written = perform(&app.core, attempt, move |tx| -> Result<purser_authority::Done<()>, DbError> {
        let alert = alert::find(tx, &alert)?.ok_or(DbError::NoRow)?;
        let name = match &alert.agent {
            Some(agent) => agent::find(tx, agent)?.map(|agent| agent.name.to_string()),
            None => None,
        };
        let mut done = purser_authority::Done::quiet(());
        for email in recipients(tx, &alert)? {
            if !webhook::mailed(tx, &alert.id, &email, core.env.now())? {
                continue;
            }
            let (subject, text) = (Subject::new(&alert.cause.headline()), alert.cause.text(name.as_deref(), &limits));
            let mailing = mail_job(&core.keyring, &core.env, &Mail { to: email.clone(), subject, text });
            let mailing = mailing.map_err(|e| DbError::Other(e.to_string()))?;
            done.jobs.push(NewJob { dedupe: Some(format!("alert_mail:{}:{email}", alert.id)), ..mailing });
        }
        done.jobs.extend(jobs_for(tx, &core.env, &alert.organisation, &message(&alert, name.as_deref()))?);
        Ok(done)
    });
    written.await.map_err(|e| JobFailure::Again { why: e.to_string(), limit: None })
}

/// The alert as programs get it; its id is the message's.
fn message(alert: &Alert, name: Option<&str>) -> Message {
    let mut data = json!(alert);
    data["agent_name"] = json!(name);
    data["text"] = json!(alert.cause.headline());
    Message::new(alert.id.to_string(), &format!("alert.{}", alert.cause.kind()), alert.at, data)
}

/// Those whose grants the agent acts under; and, where it is about a budget or a charge, those who keep the organisation's money.
fn recipients(tx: &mut Tx<'_>, alert: &Alert) -> Result<Vec<purser_values::name::Email>, DbError> {
    let mut to = Vec::new();
    if let Some(agent) = &alert.agent {
        for held in grant::of_agent(tx, agent)? {
            if let Some(member) = person::member(tx, &alert.organisation, &held.person)? {
                to.push(member.person.email);
            }
        }
    }
    if !matches!(alert.cause, alert::Cause::CapThreshold { .. }) {
        to.extend(person::payers(tx, &alert.organisation)?.into_iter().map(|member| member.person.email));
    }
    to.sort();
    to.dedup();
    Ok(to)
}

/// A budget that freezes is spent: the agent stops as if a person had stopped it.
async fn freeze(app: App, job: Job) -> Result<(), JobFailure> {
    let (agent, alert): (AgentId, AlertId) = (id(&job, "agent")?, id(&job, "alert")?);
    let env = app.core.env.clone();
    let attempt = Attempt::new("agent_freeze", &Caller::System, agent.as_str());
    let frozen = perform(&app.core, attempt, move |tx| -> Result<_, FreezeError> {
        let done = agent_freeze(tx, &env, &Caller::System, &agent, false)?;
        if !done.value.already {
            agent::frozen_for(tx, &agent, &alert)?;
        }
        Ok(done)
    })
    .await;
    match frozen {
        // An agent that is gone has nothing left to stop.
        Ok(_) | Err(FreezeError::Denied(_)) => Ok(()),
        Err(FreezeError::Db(e)) => Err(JobFailure::Again { why: e.to_string(), limit: None }),
    }
}

/// An alert, and to whom it went.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    #[serde(flatten)]
    pub alert: Alert,
    pub text: String,
    /// The agent's own name for itself.
    pub agent_name: Option<String>,
    /// Addresses that it was mailed to; not shown to agents.
    pub mails: Vec<String>,
    pub webhooks: Vec<Delivery>,
}

/// The organisation's alerts, newest first, with where each went. An agent sees those about itself, and not whom they went to.
///
/// # Errors
/// When the caller may not, or the store fails.
pub fn list(
    tx: &mut Tx<'_>,
    permit: &Permit<SpendRead>,
    organisation: &OrganisationId,
    before: Option<Timestamp>,
    limit: i64,
) -> Result<Vec<Told>, StatementError> {
    let is_agent = permit.caller().agent().is_some();
    let mut told = Vec::new();
    for alert in alert::list(tx, permit, organisation, before, limit)? {
        let (mails, webhooks) = match is_agent {
            true => (Vec::new(), Vec::new()),
            false => (webhook::mails(tx, &alert.id)?, webhook::of_message(tx, alert.id.as_str())?),
        };
        let agent_name = match &alert.agent {
            Some(agent) => agent::find(tx, agent)?.map(|agent| agent.name.to_string()),
            None => None,
        };
        told.push(Told { text: alert.cause.headline(), agent_name, mails, webhooks, alert });
    }
    Ok(told)
}
