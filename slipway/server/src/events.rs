//! Telling the orchestrator what was deployed, whoever deployed it.
//!
//! A deployment and its event are not one write: the runtime owns the first. So the event is derived from what is live, under an id that
//! follows from the deployment and its addresses; it is enqueued after every change and again for everything at the start, and an
//! id that was enqueued before is not enqueued again. A crash in between loses nothing.

use std::collections::HashMap;
use std::sync::Arc;

use purser_db::jobs::{Handler, Job, JobFailure, NewJob, enqueue};
use purser_db::{DbError, Tx};
use purser_provider::{OrchestratorClient, OrchestratorError};
use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_values::{Env, Sha256Digest};
use purser_wire::event::{DeploymentInfo, EventKind, ProviderEvent};
use purser_wire::resource::Endpoint;
use serde_json::json;
use slipway_accounts::account::get::account_list;
use slipway_accounts::link::get::Connection;
use slipway_accounts::resource::get::resource_get;
use slipway_workers::WorkersError;
use slipway_workers::name::ScriptName;
use slipway_workers::view::{Deployment, Version};

use crate::cloud::{Cloud, Shared};
use crate::endpoints;

/// The kind of job that sends an event.
const KIND: &str = "orchestrator_event";
/// Tries before an event is parked for a person; with the queue's back-off this is more than a day.
const TRIES: i64 = 300;

/// Reports what is live of a script now, without keeping its deployer waiting.
pub fn deployed(cloud: &Shared, account: &CloudAccountId, script: &ScriptName) {
    let (cloud, account, script) = (cloud.clone(), account.clone(), script.clone());
    tokio::spawn(async move {
        if let Err(e) = report(&cloud, &account, &script).await {
            tracing::error!(%account, %script, error = %e, "a deployment was not reported; the next start will do it");
        }
    });
}

/// Reports everything that is live; what was reported before is not reported again.
pub async fn reconcile(cloud: &Cloud) -> Result<(), EventError> {
    for account in cloud.db.read(account_list).await? {
        for script in cloud.workers.script_list(&account.id).await? {
            report(cloud, &account.id, &script.name).await?;
        }
    }
    Ok(())
}

#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error(transparent)]
    Workers(#[from] WorkersError),
    #[error(transparent)]
    Store(#[from] DbError),
    #[error("an id does not fit the wire: {0}")]
    Id(#[from] purser_wire::id::ParseWireIdError),
}

async fn report(cloud: &Cloud, account: &CloudAccountId, script: &ScriptName) -> Result<(), EventError> {
    let Some(deployment) = cloud.workers.deployment_list(account, script).await?.into_iter().next() else { return Ok(()) };
    let version = cloud.workers.version_get(account, script, &deployment.version).await?;
    let endpoints = endpoints::of_script(cloud, account, script).await?;
    let event = event(cloud, account, &deployment, &version, endpoints).await?;
    let env = cloud.env.clone();
    let job = NewJob { dedupe: Some(event.id.clone()), ..NewJob::now(&env, KIND, json!(event)) };
    cloud.db.write(move |tx| enqueue(tx, &env, &job)).await?;
    cloud.wake_jobs.notify_one();
    Ok(())
}

async fn event(
    cloud: &Cloud,
    account: &CloudAccountId,
    deployment: &Deployment,
    version: &Version,
    endpoints: Vec<Endpoint>,
) -> Result<ProviderEvent, EventError> {
    let resource = match deployment.author.id.parse::<CloudResourceId>() {
        Ok(id) => {
            let account = account.clone();
            cloud.db.read(move |tx| resource_get(tx, &account, &id)).await?
        }
        Err(_) => None,
    };
    let addresses = Sha256Digest::of(json!(endpoints).to_string().as_bytes()).to_string();
    Ok(ProviderEvent {
        id: format!("deployment-{}-{}", deployment.id, addresses.get(..16).unwrap_or_default()),
        kind: EventKind::DeploymentCreated,
        occurred_at: deployment.created_at,
        account_id: account.into(),
        resource_id: resource.as_ref().map(|r| (&r.id).into()),
        agent_id: resource.and_then(|r| r.agent),
        deployment: Some(DeploymentInfo {
            id: version.id.as_str().parse()?,
            name: deployment.script.to_string(),
            code_digest: version.code_digest,
            endpoints,
        }),
        data: [("deployment".to_owned(), json!(deployment.id))].into_iter().collect(),
    })
}

/// Tells the orchestrator, with the write that cuts it, that an owner cut it off.
///
/// # Errors
/// When the store fails or an id does not fit the wire.
pub fn unlinked(tx: &mut Tx<'_>, env: &Env, cut: &Connection) -> Result<(), EventError> {
    let now = env.now();
    let resources: Vec<&str> = cut.resources.iter().map(|resource| resource.id.as_str()).collect();
    let data = json!({"subject": cut.link.owner.subject, "connection": cut.link.id, "by": "owner", "resources": resources});
    let event = ProviderEvent {
        // a link that is made and cut again is cut at another time
        id: format!("unlinked-{}-{}", cut.link.id, now.as_micros()),
        kind: EventKind::AccountUnlinked,
        occurred_at: now,
        account_id: (&cut.link.account).into(),
        resource_id: None,
        agent_id: None,
        deployment: None,
        data: data.as_object().cloned().unwrap_or_default(),
    };
    let job = NewJob { dedupe: Some(event.id.clone()), ..NewJob::now(env, KIND, json!(event)) };
    enqueue(tx, env, &job)?;
    Ok(())
}

/// What the queue does with our kind of job.
pub fn handlers(orchestrator: OrchestratorClient) -> HashMap<&'static str, Handler> {
    let send: Handler = Arc::new(move |job: Job| {
        let orchestrator = orchestrator.clone();
        Box::pin(async move { send(&orchestrator, job).await })
    });
    HashMap::from([(KIND, send)])
}

async fn send(orchestrator: &OrchestratorClient, job: Job) -> Result<(), JobFailure> {
    let event: ProviderEvent = serde_json::from_value(job.payload).map_err(|e| JobFailure::Park { why: e.to_string() })?;
    match orchestrator.event(&event).await {
        Ok(_) => Ok(()),
        Err(e @ OrchestratorError::Unknown(_)) => Err(JobFailure::Again { why: e.to_string(), limit: Some(TRIES) }),
        Err(e) => Err(JobFailure::Park { why: e.to_string() }),
    }
}
