//! The saga behind `deployment_create`: upload → route → record.

use bytes::Bytes;
use purser_authority::action::DeploymentCreate;
use purser_authority::{Attempt, Caller, Done, Event, Outcome};
use purser_flow::{Definition, Step, StepCx, StepError};
use purser_identity::standing;
use purser_values::error::Kind;
use purser_values::id::{DeploymentId, ResourceId};
use purser_values::{Secret, Sha256Digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::bundle::{FileEntry, FileKind};
use super::cloudflare::Cloudflare;
use super::create::{ACCOUNT, BASE_URL, DeployRequest, TOKEN};
use crate::app::App;
use crate::error::OpError;
use crate::fault::permanent;
use crate::perform;
use crate::resource::{permit_on, resource_row};
use crate::store::{deployment, resource};

pub const KIND: &str = "deployment_create";

/// The compatibility date of code that names none.
const COMPATIBILITY_DATE: &str = "2026-11-01";

/// What the saga carries; the bytes wait in the bundle folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeployState {
    pub deployment: DeploymentId,
    pub resource: ResourceId,
    caller: Caller,
    request: DeployRequest,
    files: Vec<FileEntry>,
    pub code_digest: Sha256Digest,
    pub version: Option<String>,
    pub urls: Vec<String>,
}

impl DeployState {
    pub(super) fn new(
        id: &DeploymentId,
        resource: &ResourceId,
        caller: &Caller,
        request: &DeployRequest,
        files: &[FileEntry],
        digest: Sha256Digest,
    ) -> Self {
        Self {
            deployment: id.clone(),
            resource: resource.clone(),
            caller: caller.clone(),
            request: request.clone(),
            files: files.to_vec(),
            code_digest: digest,
            version: None,
            urls: Vec::new(),
        }
    }

    /// Name of the script at the provider.
    #[must_use]
    pub fn script(&self) -> &str {
        self.request.name.as_str()
    }

    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.request.domain.as_ref().map(purser_values::name::DomainName::as_str)
    }
}

pub fn definition(app: &App) -> Definition<DeployState> {
    let (send, fail, route, note) = (app.clone(), app.clone(), app.clone(), app.clone());
    Definition {
        kind: KIND,
        steps: vec![
            // What runs after a failed upload is what ran before it; there is nothing to take back at the provider.
            Step::new("upload", move |_, s| upload(send.clone(), s)).undo(move |_, s| failed(fail.clone(), s)),
            Step::new("route", move |_, s| attach(route.clone(), s)),
            Step::new("record", move |cx, s| record(note.clone(), cx, s)),
        ],
    }
}

/// The way to the provider's API, from the vault and the provider's own manifest.
async fn api<'a>(app: &'a App, state: &DeployState) -> Result<Cloudflare<'a>, StepError> {
    let row = resource_row(app, &state.resource).await?;
    let (app_in, caller, permit_row) = (app.clone(), state.caller.clone(), row.clone());
    let opened = app.core.db.read(move |tx| -> Result<_, OpError> {
        let now = app_in.core.env.now();
        let standing = standing(tx, now, &caller)?;
        // Minted anew for every step: a freeze since the request stops the deployment here.
        let _permit = permit_on::<DeploymentCreate>(&standing, &permit_row, now)?;
        let mut open = |name| purser_vault::open_one(tx, &app_in.core.keyring, &permit_row.id, name);
        Ok((open(TOKEN)?, open(ACCOUNT)?, open(BASE_URL)?))
    });
    let (Some(token), Some(account), Some(base)) = opened.await.map_err(|e| StepError::of(&e))? else {
        return Err(permanent(
            "credential_missing",
            Kind::Conflict,
            "the resource has no credentials to deploy with",
            Some("run `purser rotate` for it"),
        ));
    };
    let base = Url::parse(base.expose())
        .map_err(|_| permanent("provider_garbage", Kind::Provider, "the provider's API address is no URL", None))?;
    let provider = app.gateway.get(&row.provider).ok_or_else(|| StepError::transient("the provider has not answered since the start"))?;
    // The address comes out of a credential; the manifest must name it, or a lying provider could send the token elsewhere.
    if !provider.manifest.credential_routes.iter().any(|route| is_below(&base, &route.base_url)) {
        return Err(permanent("provider_garbage", Kind::Provider, "the provider's manifest does not name its deployment API", None));
    }
    Ok(Cloudflare {
        fetcher: app.gateway.fetcher(),
        env: &app.core.env,
        base,
        account: account.expose().clone(),
        token: Secret::new(token.expose().clone()),
    })
}

/// Whether `url` is `base` or lies below it: the same origin, and each of its path's parts in order.
fn is_below(url: &Url, base: &Url) -> bool {
    let parts = |u: &Url| u.path().split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    url.origin() == base.origin() && url.username().is_empty() && parts(url).starts_with(&parts(base))
}

async fn upload(app: App, mut state: DeployState) -> Result<DeployState, StepError> {
    let api = api(&app, &state).await?;
    let mut files: Vec<(FileEntry, Bytes)> = Vec::with_capacity(state.files.len());
    for entry in &state.files {
        let bytes = app.bundles.get(state.deployment.as_str(), &entry.digest).await;
        let bytes = bytes.map_err(|e| {
            permanent("upload_lost", Kind::Internal, format!("a file of the deployment is gone: {e}"), Some("deploy again"))
        })?;
        files.push((entry.clone(), bytes));
    }
    let (assets, modules): (Vec<_>, Vec<_>) = files.into_iter().partition(|(entry, _)| entry.kind == FileKind::Asset);
    let mut metadata = json!({
        "compatibility_date": state.request.compatibility_date.as_deref().unwrap_or(COMPATIBILITY_DATE),
        "compatibility_flags": state.request.compatibility_flags,
        "keep_bindings": ["secret_text", "secret_key"],
        "annotations": {"workers/message": format!("purser {}", state.deployment)},
    });
    if let Some(main) = &state.request.main_module {
        metadata["main_module"] = json!(main);
        let mut bindings: Vec<Value> = state.request.vars.iter().map(|(name, value)| binding(name, value)).collect();
        if !assets.is_empty() {
            bindings.push(json!({"type": "assets", "name": "ASSETS"}));
        }
        metadata["bindings"] = json!(bindings);
    }
    if !assets.is_empty() {
        let jwt = api.assets(state.script(), &assets).await?;
        metadata["assets"] = json!({"jwt": jwt, "config": {}});
    }
    state.version = Some(deployment::version_key(&api.upload(state.script(), &metadata, &modules).await?.version));
    state.urls = api.enable_subdomain(state.script()).await?.into_iter().collect();
    Ok(state)
}

fn binding(name: &str, value: &Value) -> Value {
    match value {
        Value::String(text) => json!({"type": "plain_text", "name": name, "text": text}),
        other => json!({"type": "json", "name": name, "json": other}),
    }
}

async fn attach(app: App, mut state: DeployState) -> Result<DeployState, StepError> {
    let Some(domain) = state.request.domain.clone() else { return Ok(state) };
    api(&app, &state).await?.attach_domain(state.script(), domain.as_str()).await?;
    state.urls.insert(0, format!("https://{domain}"));
    // A sandbox's names exist on this machine alone: this one opens in any browser as it is.
    state.urls.extend(app.site_port.map(|port| format!("http://{domain}.localhost:{port}/")));
    Ok(state)
}

async fn record(app: App, _: StepCx, mut state: DeployState) -> Result<DeployState, StepError> {
    finish(&app, &state, "live", Outcome::Done).await?;
    // The journal keeps the state for ever, and variables may hold what should not be kept.
    state.request.vars.clear();
    Ok(state)
}

async fn failed(app: App, mut state: DeployState) -> Result<DeployState, StepError> {
    finish(&app, &state, "failed", Outcome::Failed("undone".to_owned())).await?;
    state.request.vars.clear();
    Ok(state)
}

async fn finish(app: &App, state: &DeployState, outcome_state: &'static str, outcome: Outcome) -> Result<(), StepError> {
    let (env, done) = (app.core.env.clone(), state.clone());
    perform(
        &app.core,
        Attempt::new("deployment_create", &state.caller, state.deployment.as_str()),
        move |tx| -> Result<Done<()>, OpError> {
            deployment::finish(tx, &done.deployment, outcome_state, done.version.as_deref(), &done.urls)?;
            let row = resource::get(tx, &done.resource)?.ok_or(purser_db::DbError::NoRow)?;
            if outcome_state == "live" {
                for host in done.urls.iter().filter_map(|url| Url::parse(url).ok()?.host_str()?.parse().ok()) {
                    resource::endpoint_add(tx, &row.organisation, &host, &row.id, Some(done.deployment.as_str()), env.now())?;
                }
            }
            let event = Event::new("deployment_create", outcome.clone(), &done.caller, done.deployment.as_str())
                .related([row.id.as_str(), &done.code_digest.to_string()])
                .related(done.version.iter())
                .related(done.urls.iter())
                .with(json!({"code_digest": done.code_digest, "version": done.version, "urls": done.urls}));
            Ok(Done::with_event((), event))
        },
    )
    .await
    .map_err(|e| StepError::of(&e))?;
    app.bundles.forget(state.deployment.as_str()).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_only_begins_like_the_manifests_is_another_address() {
        let base = Url::parse("https://api.p.example/client/v4").unwrap();
        for (text, below) in [
            ("https://api.p.example/client/v4", true),
            ("https://api.p.example/client/v4/", true),
            ("https://api.p.example/client/v4/more", true),
            ("https://api.p.example.evil.example/client/v4", false),
            ("https://api.p.example/client/v40", false),
            ("https://api.p.example:8443/client/v4", false),
            ("http://api.p.example/client/v4", false),
            ("https://x@api.p.example/client/v4", false),
        ] {
            assert_eq!(is_below(&Url::parse(text).unwrap(), &base), below, "{text}");
        }
    }
}
