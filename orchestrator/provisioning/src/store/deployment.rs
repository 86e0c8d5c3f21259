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
    tx.execute(insert, params![
        d.id, d.organisation, d.project, d.environment, d.resource, d.provider, d.script, d.code_digest, d.domain,
        d.person, d.agent, d.grant, d.created_at
    ]).map(drop)
}

pub fn finish(tx: &mut Tx<'_>, id: &DeploymentId, state: &str, version: Option<&str>, urls: &[String]) -> Result<(), DbError> {
    let urls = serde_json::to_string(urls).map_err(|e| DbError::Other(e.to_string()))?;
    tx.execute("update deployment set state = $2, version = $3, urls = $4 where id = $1", params![id, state, version, urls]).map(drop)
}

/// The provider's own word that this version runs. Answers whether we knew of it.
pub fn confirm(tx: &mut Tx<'_>, provider: &ProviderName, version: &str, digest: &Sha256Digest, now: Timestamp) -> Result<bool, DbError> {
    let update = "update deployment set confirmed_at = $4 where provider = $1 and version = $2 and code_digest = $3 and confirmed_at is null";
    Ok(tx.execute(update, params![provider, version, digest, now])? > 0)
}

/// The deployment with the provider's version id.
pub fn by_version(tx: &mut Tx<'_>, provider: &ProviderName, version: &str) -> Result<Option<Deployment>, DbError> {
    tx.query_opt("select * from deployment where provider = $1 and version = $2", params![provider, version])?.map(|row| read(&row)).transpose()
}

/// Whether a saga of ours is putting this very code on the resource.
pub fn in_flight(tx: &mut Tx<'_>, resource: &ResourceId, digest: &Sha256Digest) -> Result<bool, DbError> {
    let select = "select id from deployment where resource = $1 and code_digest = $2 and state = 'intended'";
    Ok(tx.query_opt(select, params![resource, digest])?.is_some())
}

pub fn get(tx: &mut Tx<'_>, organisation: &OrganisationId, id: &str) -> Result<Option<Deployment>, DbError> {
    tx.query_opt("select * from deployment where organisation = $1 and id = $2", params![organisation, id])?.map(|row| read(&row)).transpose()
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
