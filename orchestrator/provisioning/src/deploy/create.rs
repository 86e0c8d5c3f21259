//! `deployment_create`: takes the files in, writes the intent down, and leaves the rest to the saga.

use bytes::Bytes;
use purser_authority::action::DeploymentCreate;
use purser_authority::{Attempt, Caller, Done, Event, Facts, Outcome, authorise};
use purser_db::idempotency::{self, Reservation};
use purser_db::{DbError, Tx};
use purser_identity::standing;
use purser_values::Sha256Digest;
use purser_values::id::{DeploymentId, SagaId};
use purser_values::name::{DomainName, EnvironmentName, ProjectName, ResourceName};
use purser_wire::resource::EndpointKind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::bundle::{self, FileEntry, FileKind, code_digest, is_safe_path};
use super::saga::{DeployState, KIND};
use crate::app::App;
use crate::error::OpError;
use crate::perform;
use crate::resource::{not_an_agent, permit_on};
use crate::store::deployment::{self, Deployment};
use crate::store::project::{self, Project};
use crate::store::resource::{self, Resource, State};

/// The names under which a service delivers the way to its deployment API.
pub(super) const TOKEN: &str = "CLOUDFLARE_API_TOKEN";
pub(super) const ACCOUNT: &str = "CLOUDFLARE_ACCOUNT_ID";
pub(super) const BASE_URL: &str = "CLOUDFLARE_API_BASE_URL";

/// What an agent asks for, besides the files.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeployRequest {
    pub project: ProjectName,
    pub environment: EnvironmentName,
    /// The resource to deploy to; the environment's only one when absent.
    #[serde(default)]
    pub resource: Option<ResourceName>,
    /// Name of the script at the provider.
    pub name: ResourceName,
    /// Says that there is no module to run; it must agree with `main_module`.
    #[serde(default)]
    pub assets_only: bool,
    /// The module that runs; absent for a site of static files.
    #[serde(default)]
    pub main_module: Option<String>,
    #[serde(default)]
    pub compatibility_date: Option<String>,
    #[serde(default)]
    pub compatibility_flags: Vec<String>,
    #[serde(default)]
    pub vars: Map<String, Value>,
    /// A registered domain, or a name below it, that leads to the site.
    #[serde(default)]
    pub domain: Option<DomainName>,
}

/// One file as it came in.
#[derive(Clone, Debug)]
pub struct DeployFile {
    pub kind: FileKind,
    pub path: String,
    pub content_type: String,
    pub bytes: Bytes,
}

/// A deployment that was taken in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deploying {
    pub saga: SagaId,
    pub deployment: DeploymentId,
    pub code_digest: Sha256Digest,
}

/// Checks the files, keeps them, records the intent and begins the saga.
///
/// # Errors
/// When the files are unusable, the caller may not, or there is nothing to deploy to.
pub async fn deployment_create(
    app: &App,
    caller: &Caller,
    request: DeployRequest,
    files: Vec<DeployFile>,
    key: Option<String>,
) -> Result<Deploying, OpError> {
    let files = entries(&request, files)?;
    let listing: Vec<FileEntry> = files.iter().map(|(entry, _)| entry.clone()).collect();
    let digest = code_digest(request.main_module.as_deref(), &listing);
    let id = DeploymentId::mint(&app.core.env);
    app.bundles.put(id.as_str(), files).await.map_err(|e| OpError::Store(disk(&e)))?;
    let (app_in, caller_in, deployment) = (app.clone(), caller.clone(), id.clone());
    let attempt = Attempt::new("deployment_create", caller, request.name.as_str());
    let begun =
        perform(&app.core, attempt, move |tx| begin(tx, &app_in, &caller_in, &request, &listing, digest, &deployment, key.as_deref()))
            .await;
    if begun.as_ref().map_or(true, |deploying| deploying.deployment != id) {
        app.bundles.forget(id.as_str()).await;
    }
    begun
}

fn begin(
    tx: &mut Tx<'_>,
    app: &App,
    caller: &Caller,
    request: &DeployRequest,
    files: &[FileEntry],
    digest: Sha256Digest,
    id: &DeploymentId,
    key: Option<&str>,
) -> Result<Done<Deploying>, OpError> {
    let (env, now) = (&app.core.env, app.core.env.now());
    let Caller::Agent { agent, grant, on_behalf_of, organisation, .. } = caller else {
        return Err(not_an_agent::<DeploymentCreate>(caller, &Facts::new(now, request.name.as_str())));
    };
    let scope = format!("deploy/{agent}");
    if let Some(key) = key {
        let text = serde_json::to_string(request).map_err(|e| OpError::Invalid(e.to_string()))?;
        let bound = Sha256Digest::of_parts(&[text.as_bytes(), digest.as_bytes()]);
        match idempotency::reserve(tx, &scope, key, &bound, now)? {
            Reservation::Fresh => {}
            Reservation::Answered(text) => {
                return serde_json::from_str(&text).map(Done::quiet).map_err(|e| OpError::Invalid(e.to_string()));
            }
            Reservation::Unfinished | Reservation::Mismatch => return Err(OpError::KeyReused),
        }
    }
    let project = project::by_name(tx, organisation, &request.project)?.ok_or_else(|| OpError::ProjectUnknown(request.project.clone()))?;
    let here = resource::in_environment(tx, &project.id, &request.environment)?;
    let target = target(tx, request, &here)?;
    confine(tx, request, &project, &target)?;
    let standing = standing(tx, now, caller)?;
    let permit = permit_on::<DeploymentCreate>(&standing, &target, now)?;
    let row = Deployment {
        id: id.clone(),
        organisation: organisation.clone(),
        project: project.id,
        environment: request.environment.clone(),
        resource: target.id.clone(),
        provider: target.provider.clone(),
        script: request.name.to_string(),
        state: "intended".to_owned(),
        version: None,
        code_digest: digest,
        urls: Vec::new(),
        domain: request.domain.as_ref().map(ToString::to_string),
        person: on_behalf_of.clone(),
        agent: agent.clone(),
        grant: grant.clone(),
        created_at: now,
        confirmed_at: None,
    };
    deployment::intend(tx, &row)?;
    let deploying = Deploying { saga: SagaId::mint(env), deployment: id.clone(), code_digest: digest };
    let state = DeployState::new(id, &target.id, caller, request, files, digest);
    let state = serde_json::to_string(&state).map_err(|e| OpError::Invalid(e.to_string()))?;
    purser_flow::begin(tx, env, &deploying.saga, KIND, organisation.as_str(), &state)?;
    if let Some(key) = key {
        let answer = serde_json::to_string(&deploying).map_err(|e| OpError::Invalid(e.to_string()))?;
        idempotency::answer(tx, &scope, key, &answer)?;
    }
    let event = Event::new(permit.verb(), Outcome::Intended, permit.caller(), id.as_str())
        .related([target.id.as_str(), &digest.to_string()])
        .related(request.domain.iter())
        .with(serde_json::json!({"code_digest": digest, "script": request.name, "files": files.len(), "domain": request.domain}));
    Ok(Done::with_event(deploying, event))
}

/// Whether the caller may deploy anything at all; asked before the files are read.
///
/// # Errors
/// When it may not.
pub async fn may_deploy(app: &App, caller: &Caller) -> Result<(), OpError> {
    let (env, caller) = (app.core.env.clone(), caller.clone());
    app.core
        .db
        .read(move |tx| {
            let standing = standing(tx, env.now(), &caller)?;
            Ok(authorise::<DeploymentCreate>(&caller, &standing.facts(env.now(), "deployment")).map(drop)?)
        })
        .await
}

/// INVARIANT (project-confines): scripts and domains live in one account for all projects of the organisation, so a project
/// may only replace its own scripts and only use domains that it registered.
fn confine(tx: &mut Tx<'_>, request: &DeployRequest, project: &Project, target: &Resource) -> Result<(), OpError> {
    if deployment::script_is_of_another(tx, &target.provider, &project.organisation, request.name.as_str(), &project.id)? {
        return Err(OpError::ScriptTaken(request.name.clone()));
    }
    if let Some(domain) = &request.domain {
        let own = resource::of_organisation(tx, &project.organisation, &target.provider)?;
        let covers = |value: &str| domain.as_str() == value || domain.as_str().strip_suffix(value).is_some_and(|rest| rest.ends_with('.'));
        let is_own = own
            .iter()
            .filter(|r| r.project == project.id && r.state == State::Live)
            .flat_map(|r| &r.endpoints)
            .any(|e| e.kind == EndpointKind::Domain && covers(&e.value));
        if !is_own {
            return Err(OpError::DomainNotOwn(domain.clone()));
        }
    }
    Ok(())
}

/// The live resource that delivers a deployment API, by name or because it is the only one.
fn target(tx: &mut Tx<'_>, request: &DeployRequest, here: &[Resource]) -> Result<Resource, OpError> {
    let mut found = Vec::new();
    for row in here.iter().filter(|r| {
        matches!(r.state, State::Live | State::Rotating | State::Updating) && request.resource.as_ref().is_none_or(|name| r.name == *name)
    }) {
        let names = purser_vault::names(tx, &row.project, &row.environment)?;
        if names.iter().any(|c| c.resource == row.id && c.name == TOKEN) {
            found.push(row.clone());
        }
    }
    match (found.len(), &request.resource) {
        (1, _) => Ok(found.remove(0)),
        (0, Some(name)) => Err(OpError::ResourceUnknown(name.to_string())),
        (0, None) => Err(OpError::NothingToDeployTo),
        _ => Err(OpError::Invalid(format!(
            "there are several resources to deploy to; name one of: {}",
            found.iter().map(|r| r.name.as_str()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

fn entries(request: &DeployRequest, files: Vec<DeployFile>) -> Result<Vec<(FileEntry, Bytes)>, OpError> {
    let invalid = |why: String| OpError::Invalid(why);
    if files.is_empty() {
        return Err(invalid("there are no files".to_owned()));
    }
    if files.len() > bundle::FILES {
        return Err(invalid(format!("there are more than {} files", bundle::FILES)));
    }
    let mut seen = std::collections::BTreeSet::new();
    let mut out = Vec::with_capacity(files.len());
    for file in files {
        if !is_safe_path(&file.path) {
            return Err(invalid(format!("`{}` is not a usable path", file.path.escape_debug().take(80).collect::<String>())));
        }
        if !seen.insert((file.kind == FileKind::Asset, file.path.clone())) {
            return Err(invalid(format!("`{}` is there twice", file.path)));
        }
        let path = if file.kind == FileKind::Asset { format!("/{}", file.path) } else { file.path };
        let size = u64::try_from(file.bytes.len()).unwrap_or(u64::MAX);
        let entry = FileEntry { kind: file.kind, path, digest: Sha256Digest::of(&file.bytes), size, content_type: file.content_type };
        out.push((entry, file.bytes));
    }
    if request.assets_only && request.main_module.is_some() {
        return Err(invalid("`assets_only` and `main_module` exclude each other".to_owned()));
    }
    match &request.main_module {
        Some(main) if !out.iter().any(|(e, _)| e.kind == FileKind::Module && e.path == *main) => {
            Err(invalid(format!("the main module `{main}` is not among the files")))
        }
        None if out.iter().any(|(e, _)| e.kind == FileKind::Module) => Err(invalid("there are modules but no main module".to_owned())),
        _ => Ok(out),
    }
}

fn disk(e: &std::io::Error) -> DbError {
    match e.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => DbError::Full,
        _ => DbError::Unavailable(e.to_string()),
    }
}
