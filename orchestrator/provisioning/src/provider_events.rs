//! What providers report: above all which code runs where, also when an agent deployed past us with its own credential.

use purser_authority::{Attempt, Caller, Done, Event};
use purser_db::{DbError, Tx};
use purser_identity::grant;
use purser_values::id::DeploymentId;
use purser_values::name::{HostName, ProviderName};
use purser_wire::event::{DeploymentInfo, EventKind, EventReceipt, ProviderEvent};
use url::Url;

use crate::app::App;
use crate::error::OpError;
use crate::perform;
use crate::store::account;
use crate::store::deployment::{self, Deployment};
use crate::store::resource::{self, Resource};

/// Most endpoints of one reported deployment that are kept.
const ENDPOINTS: usize = 32;
/// Longest script name that is kept, in characters.
const SCRIPT_CHARS: usize = 128;

/// Records an event. A repeated id changes nothing.
///
/// # Errors
/// When the event speaks of an account that is not ours, or the store fails.
pub async fn provider_event(app: &App, provider: &ProviderName, event: ProviderEvent) -> Result<EventReceipt, OpError> {
    let caller = Caller::Provider { provider: provider.clone() };
    let (env, name, from, realm) = (app.core.env.clone(), provider.clone(), caller.clone(), app.realm.clone());
    perform(&app.core, Attempt::new("provider_event", &caller, event.id.clone()), move |tx| {
        let scope = format!("provider_event/{name}");
        let digest = purser_values::Sha256Digest::of(event.id.as_bytes());
        let fresh = purser_db::idempotency::reserve(tx, &scope, &event.id, &digest, env.now())?;
        let receipt = EventReceipt { id: event.id.clone(), accepted: fresh == purser_db::idempotency::Reservation::Fresh };
        if !receipt.accepted {
            return Ok(Done::quiet(receipt));
        }
        let owner = account::by_provider_account(tx, &name, event.account_id.as_str())?.ok_or(purser_authority::Denied::NotFound)?;
        let row = match &event.resource_id {
            Some(id) => resource::by_provider_resource(tx, &name, id.as_str())?.filter(|r| r.organisation == owner.organisation),
            None => None,
        };
        if let (EventKind::DeploymentCreated, Some(info), Some(row)) = (&event.kind, &event.deployment, &row) {
            deployed(tx, &env, &name, info, row)?;
        }
        let mut unlinked = None;
        let subject = event.data.get("subject").and_then(serde_json::Value::as_str);
        let ours = subject.is_none_or(|subject| subject == realm.pairwise(&owner.organisation, &name));
        if event.kind == EventKind::AccountUnlinked && ours && account::unlinked(tx, &owner)? {
            unlinked = Some(crate::account::unlink_event(&from, &owner, "its owner cut the connection at the provider"));
        }
        let noted = Event::done("provider_event", &from, event.id.as_str())
            .in_organisation(&owner.organisation)
            .related([owner.id.as_str()])
            .related(row.iter().map(|r| &r.id))
            .related(event.agent_id.iter())
            .related(row.iter().flat_map(|r| [r.agent.to_string(), r.grant.to_string()]))
            .related(event.deployment.iter().flat_map(|d| [d.id.to_string(), d.code_digest.to_string()]))
            .with(serde_json::json!({
                "kind": event.kind.as_str(), "occurred_at": event.occurred_at, "deployment": event.deployment,
                "under": row.as_ref().map(|r| under(tx, &env, r)).transpose()?,
            }));
        let done = Done::with_event(receipt, noted);
        Ok(match unlinked {
            Some(unlinked) => done.and_event(unlinked),
            None => done,
        })
    })
    .await
}

/// The agents and grants under which a resource was added, its own first.
fn under(tx: &mut Tx<'_>, env: &purser_values::Env, row: &Resource) -> Result<Vec<serde_json::Value>, DbError> {
    let Some(own) = grant::find(tx, &row.grant)? else { return Ok(Vec::new()) };
    let chain = grant::chain(tx, &own, env.now())?;
    Ok(chain.links.iter().map(|link| serde_json::json!({ "agent": link.agent, "grant": link.grant })).collect())
}

/// Confirms a deployment of ours, or writes down one that came by another way under the resource's own grant.
fn deployed(
    tx: &mut Tx<'_>,
    env: &purser_values::Env,
    provider: &ProviderName,
    info: &DeploymentInfo,
    row: &Resource,
) -> Result<(), DbError> {
    let version = deployment::version_key(info.id.as_str());
    let urls: Vec<String> = info.endpoints.iter().take(ENDPOINTS).map(|e| e.value.clone()).collect();
    let id = match deployment::reported(tx, &row.id, &version, &info.code_digest)? {
        Some(ours) => ours.id,
        None => {
            let id = DeploymentId::mint(env);
            let found = Deployment {
                id: id.clone(),
                organisation: row.organisation.clone(),
                project: row.project.clone(),
                environment: row.environment.clone(),
                resource: row.id.clone(),
                provider: provider.clone(),
                script: info.name.chars().take(SCRIPT_CHARS).collect(),
                state: "live".to_owned(),
                version: Some(version),
                code_digest: info.code_digest,
                urls: urls.clone(),
                domain: None,
                person: row.person.clone(),
                agent: row.agent.clone(),
                grant: row.grant.clone(),
                created_at: env.now(),
                confirmed_at: None,
            };
            deployment::intend(tx, &found)?;
            deployment::finish(tx, &id, "live", found.version.as_deref(), &urls)?;
            id
        }
    };
    deployment::confirm(tx, &id, env.now())?;
    for host in urls.iter().filter_map(|url| host(url)) {
        if resource::is_claimed_elsewhere(tx, &row.organisation, &host, provider)? {
            tracing::warn!(%provider, %host, "a provider claims a host that another provider answers for; the claim is ignored");
            continue;
        }
        resource::endpoint_add(tx, &row.organisation, &host, &row.id, Some(id.as_str()), env.now())?;
    }
    Ok(())
}

fn host(value: &str) -> Option<HostName> {
    Url::parse(value).ok().and_then(|url| url.host_str()?.parse().ok()).or_else(|| value.parse().ok())
}
