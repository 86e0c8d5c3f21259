//! One message to one address, until it is taken.
//!
//! Each try is a job of its own, and the write that notes a try that failed enqueues the next one. A process that dies after the
//! address has answered sends the message again with the same `webhook-id`: receivers take each id once.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use purser_authority::{Attempt, Caller, Done, Event, Outcome};
use purser_db::jobs::{Job, JobFailure, NewJob};
use purser_db::{DbError, Tx};
use purser_http::fetch::FetchLimits;
use purser_notify::{Mail, Subject, mail_job, webhook as signing};
use purser_values::id::{OrganisationId, WebhookId};
use purser_values::{Env, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::WAITS_S;
use crate::app::App;
use crate::store::webhook::{self, Delivery, Endpoint, State};
use crate::{notice, perform};

/// The kind of job that sends one message to one address once.
pub const JOB: &str = "webhook_send";

/// How long an address may take to answer, and how much it may say; the answer's body counts for nothing.
const LIMITS: FetchLimits = FetchLimits { timeout: std::time::Duration::from_secs(10), body_bytes: 64 * 1024 };

/// What is sent, the same bytes with every try.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    pub id: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub body: String,
}

impl Message {
    /// The body is the envelope that Standard Webhooks advises: `type`, `timestamp`, `data`.
    #[must_use]
    pub fn new(id: String, kind: &str, at: Timestamp, data: Value) -> Self {
        let body = json!({"type": kind, "timestamp": at, "data": data}).to_string();
        Self { id, kind: kind.to_owned(), body }
    }
}

#[derive(Serialize, Deserialize)]
struct Try {
    endpoint: WebhookId,
    /// From 1 on.
    number: usize,
    message: Message,
}

/// A job for each active address of the organisation.
///
/// # Errors
/// When the store fails.
pub fn jobs_for(tx: &mut Tx<'_>, env: &Env, organisation: &OrganisationId, message: &Message) -> Result<Vec<NewJob>, DbError> {
    let endpoints = webhook::of_organisation(tx, organisation)?;
    endpoints.iter().filter(|endpoint| endpoint.state == State::Active).map(|endpoint| first(tx, env, endpoint, message)).collect()
}

pub(super) fn first(tx: &mut Tx<'_>, env: &Env, endpoint: &Endpoint, message: &Message) -> Result<NewJob, DbError> {
    webhook::note(tx, &endpoint.organisation, &delivery(endpoint, message, "waiting", 0, None, None, env.now()))?;
    Ok(job(env.now(), &endpoint.id, 1, message))
}

fn job(run_at: Timestamp, endpoint: &WebhookId, number: usize, message: &Message) -> NewJob {
    let dedupe = Some(format!("{JOB}:{}:{endpoint}:{number}", message.id));
    let payload = json!(Try { endpoint: endpoint.clone(), number, message: message.clone() });
    NewJob { kind: JOB, payload, run_at, dedupe }
}

/// The job.
pub async fn send(app: App, job: Job) -> Result<(), JobFailure> {
    let again = |why: String| JobFailure::Again { why, limit: None };
    let Try { endpoint, number, message } = serde_json::from_value(job.payload).map_err(|_| notice::unreadable())?;
    let (keyring, now, id) = (app.core.keyring.clone(), app.core.env.now(), endpoint.clone());
    let found = app.core.db.read::<_, DbError, _>(move |tx| {
        let Some(endpoint) = webhook::find(tx, &id)? else { return Ok(None) };
        Ok(Some((webhook::secrets(tx, &keyring, &id, now)?, endpoint)))
    });
    let Some((secrets, endpoint)) = found.await.map_err(|e| again(e.to_string()))? else { return Ok(()) };
    if endpoint.state != State::Active {
        return Ok(());
    }
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    for (name, value) in signing::headers(&message.id, now, message.body.as_bytes(), &secrets) {
        let value = HeaderValue::from_str(&value).map_err(|e| JobFailure::Park { why: e.to_string() })?;
        headers.insert(HeaderName::from_static(name), value);
    }
    let body = Bytes::from(message.body.clone());
    let answer = app.outgoing.send(Method::POST, &endpoint.url, headers, body, LIMITS).await;
    let outcome = match answer {
        Ok(answer) if answer.status.is_success() => Tried::Taken(answer.status),
        Ok(answer) if answer.status == StatusCode::GONE => Tried::Unwanted(answer.status),
        Ok(answer) => Tried::Failed(Some(answer.status), format!("it answered {}", answer.status.as_u16())),
        Err(e) => Tried::Failed(None, e.to_string()),
    };
    note(&app, endpoint, number, message, outcome).await.map_err(|e| again(e.to_string()))
}

#[derive(Clone)]
enum Tried {
    Taken(StatusCode),
    /// 410: it wants no more messages.
    Unwanted(StatusCode),
    Failed(Option<StatusCode>, String),
}

/// Writes down what came of a try, with what follows from it.
async fn note(app: &App, endpoint: Endpoint, number: usize, message: Message, tried: Tried) -> Result<(), DbError> {
    let (env, keyring) = (app.core.env.clone(), app.core.keyring.clone());
    let attempt = Attempt::new("webhook_send", &Caller::System, endpoint.id.as_str());
    perform(&app.core, attempt, move |tx| -> Result<Done<()>, DbError> {
        let now = env.now();
        let (state, status, why) = match &tried {
            Tried::Taken(status) => ("delivered", Some(*status), None),
            Tried::Unwanted(status) => ("failed", Some(*status), Some("it answered 410: it wants no more messages".to_owned())),
            Tried::Failed(status, why) if number <= WAITS_S.len() => ("waiting", *status, Some(why.clone())),
            Tried::Failed(status, why) => ("failed", *status, Some(format!("{number} tries failed, the last one because {why}"))),
        };
        webhook::note(tx, &endpoint.organisation, &delivery(&endpoint, &message, state, number, status, why.clone(), now))?;
        let mut done = Done::quiet(());
        match (state, WAITS_S.get(number - 1)) {
            ("waiting", Some(wait)) => done.jobs.push(job(now.plus_secs(*wait), &endpoint.id, number + 1, &message)),
            ("failed", _) => {
                let why = why.unwrap_or_default();
                webhook::set_state(tx, &endpoint.id, State::Disabled, Some(&why))?;
                let event = Event::new("webhook_disable", Outcome::Done, &Caller::System, endpoint.id.as_str());
                done.events.push(event.in_organisation(&endpoint.organisation).related([&message.id]).with(json!({"why": why})));
                done.jobs.extend(tell_people(tx, &env, &keyring, &endpoint, &why)?);
            }
            _ => {}
        }
        Ok(done)
    })
    .await
}

fn tell_people(
    tx: &mut Tx<'_>,
    env: &Env,
    keyring: &purser_crypto::seal::Keyring,
    endpoint: &Endpoint,
    why: &str,
) -> Result<Vec<NewJob>, DbError> {
    let host = endpoint.url.host_str().unwrap_or_default();
    let text = format!(
        "Messages to the webhook at {host} ({}) are not sent any more: {why}.\n\nWhat it missed can be read from the events. Mend the receiver, \
         remove the webhook and add its address anew.\n",
        endpoint.id
    );
    let subject = Subject::new(&format!("The webhook at {host} is disabled"));
    let mut jobs = Vec::new();
    for member in purser_identity::person::payers(tx, &endpoint.organisation)? {
        let mail = Mail { to: member.person.email.clone(), subject: subject.clone(), text: text.clone() };
        let mailing = mail_job(keyring, env, &mail).map_err(|e| DbError::Other(e.to_string()))?;
        jobs.push(NewJob { dedupe: Some(format!("webhook_disabled:{}:{}", endpoint.id, member.person.email)), ..mailing });
    }
    Ok(jobs)
}

fn delivery(
    endpoint: &Endpoint,
    message: &Message,
    state: &str,
    number: usize,
    status: Option<StatusCode>,
    why: Option<String>,
    now: Timestamp,
) -> Delivery {
    Delivery {
        message: message.id.clone(),
        endpoint: endpoint.id.clone(),
        kind: message.kind.clone(),
        state: state.to_owned(),
        attempts: i64::try_from(number).unwrap_or(i64::MAX),
        status: status.map(|status| i64::from(status.as_u16())),
        why,
        last_at: now,
    }
}
