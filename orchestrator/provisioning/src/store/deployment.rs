//! Deployments: which code runs where, and who put it there.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, DeploymentId, GrantId, OrganisationId, PersonId, ProjectId, ResourceId};
use purser_values::name::{EnvironmentName, ProviderName};
use purser_values::{Sha256Digest, Timestamp};

/// One upload of code to a provider. `state` is `intended`, `live` or `failed`.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub id: DeploymentId,
    pub organisation: OrganisationId,
    pub project: ProjectId,
    pub environment: EnvironmentName,
    pub resource: ResourceId,
    pub provider: ProviderName,
    pub script: String,
    pub state: String,
    /// The provider's id of the version.
    pub version: Option<String>,
    pub code_digest: Sha256Digest,
    pub urls: Vec<String>,
    pub domain: Option<String>,
    pub person: PersonId,
    pub agent: AgentId,
    pub grant: GrantId,
    pub created_at: Timestamp,
    /// When the provider itself reported the same deployment.
    pub confirmed_at: Option<Timestamp>,
}

/// Writes the intent down, before the provider gets the code.
pub fn intend(tx: &mut Tx<'_>, d: &Deployment) -> Result<(), DbError> {
    let insert = "insert into deployment (id, organisation, project, environment, resource, provider, script, state, code_digest,
                  urls, domain, person, agent, grant_id, created_at)
                  values ($1, $2, $3, $4, $5, $6, $7, 'intended', $8, '[]', $9, $10, $11, $12, $13)";
    tx.execute(
        insert,
        params![
            d.id,
            d.organisation,
            d.project,
            d.environment,
            d.resource,
            d.provider,
            d.script,
            d.code_digest,
            d.domain,
            d.person,
            d.agent,
            d.grant,
            d.created_at
        ],
    )
    .map(drop)
}

pub fn finish(tx: &mut Tx<'_>, id: &DeploymentId, state: &str, version: Option<&str>, urls: &[String]) -> Result<(), DbError> {
    let urls = serde_json::to_string(urls).map_err(|e| DbError::Other(e.to_string()))?;
    tx.execute("update deployment set state = $2, version = $3, urls = $4 where id = $1", params![id, state, version, urls]).map(drop)
}

/// A provider's version id as it is kept: some of its answers write the same id with hyphens and some without.
#[must_use]
pub fn version_key(id: &str) -> String {
    id.replace('-', "").to_ascii_lowercase()
}

/// The provider's own word that this deployment runs.
pub fn confirm(tx: &mut Tx<'_>, id: &DeploymentId, now: Timestamp) -> Result<(), DbError> {
    tx.execute("update deployment set confirmed_at = coalesce(confirmed_at, $2) where id = $1", params![id, now]).map(drop)
}

/// The deployment that a provider's report is about: the one with its version, or the one of a saga of ours that is putting
/// this very code on the resource and has not written the version down yet.
pub fn reported(tx: &mut Tx<'_>, resource: &ResourceId, version: &str, digest: &Sha256Digest) -> Result<Option<Deployment>, DbError> {
    let select = "select * from deployment where resource = $1 and code_digest = $3
                  and (version = $2 or (version is null and state = 'intended')) order by created_at desc limit 1";
    tx.query_opt(select, params![resource, version, digest])?.map(|row| read(&row)).transpose()
}

/// Whether a script of this name was put there by another project of the organisation.
pub fn script_is_of_another(
    tx: &mut Tx<'_>,
    provider: &ProviderName,
    organisation: &OrganisationId,
    script: &str,
    project: &ProjectId,
) -> Result<bool, DbError> {
    let select = "select id from deployment where organisation = $1 and provider = $2 and script = $3 and project <> $4 and state <> 'failed' limit 1";
    Ok(tx.query_opt(select, params![organisation, provider, script, project])?.is_some())
}

/// The deployments whose sagas have not ended.
pub fn unfinished(tx: &mut Tx<'_>) -> Result<Vec<String>, DbError> {
    tx.query("select id from deployment where state = 'intended'", params![])?.iter().map(|row| row.get("id")).collect()
}

pub fn get(tx: &mut Tx<'_>, organisation: &OrganisationId, id: &str) -> Result<Option<Deployment>, DbError> {
    tx.query_opt("select * from deployment where organisation = $1 and id = $2", params![organisation, id])?
        .map(|row| read(&row))
        .transpose()
}

/// The newest deployments of a resource first.
pub fn of_resource(tx: &mut Tx<'_>, resource: &ResourceId, limit: i64) -> Result<Vec<Deployment>, DbError> {
    let select = "select * from deployment where resource = $1 order by created_at desc, id desc limit $2";
    tx.query(select, params![resource, limit])?.iter().map(read).collect()
}

pub fn in_environment(tx: &mut Tx<'_>, project: &ProjectId, environment: &EnvironmentName, limit: i64) -> Result<Vec<Deployment>, DbError> {
    let select = "select * from deployment where project = $1 and environment = $2 order by created_at desc, id desc limit $3";
    tx.query(select, params![project, environment, limit])?.iter().map(read).collect()
}

pub fn by_digest(tx: &mut Tx<'_>, organisation: &OrganisationId, digest: &str) -> Result<Vec<Deployment>, DbError> {
    let select = "select * from deployment where organisation = $1 and code_digest = $2 order by created_at desc limit 20";
    tx.query(select, params![organisation, digest])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<Deployment, DbError> {
    Ok(Deployment {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        project: row.parse("project")?,
        environment: row.parse("environment")?,
        resource: row.parse("resource")?,
        provider: row.parse("provider")?,
        script: row.get("script")?,
        state: row.get("state")?,
        version: row.get("version")?,
        code_digest: row.get("code_digest")?,
        urls: row.json("urls")?,
        domain: row.get("domain")?,
        person: row.parse("person")?,
        agent: row.parse("agent")?,
        grant: row.parse("grant_id")?,
        created_at: row.get("created_at")?,
        confirmed_at: row.get("confirmed_at")?,
    })
}
