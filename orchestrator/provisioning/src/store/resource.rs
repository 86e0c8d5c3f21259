//! Resources.

use std::fmt;
use std::str::FromStr;

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{AccountId, AgentId, GrantId, OrganisationId, PersonId, ProjectId, ResourceId, SagaId};
use purser_values::name::{EnvironmentName, HostName, ProjectName, ProviderName, ResourceName, ServiceName, ServiceRef};
use purser_wire::resource::{Endpoint, EndpointKind};
use serde_json::Value;

/// Where a resource is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Creating,
    Live,
    /// Its credentials are being replaced; it works meanwhile.
    Rotating,
    /// It is being turned into another service; it works meanwhile.
    Updating,
    Removing,
    Removed,
    /// It was never made, or was undone.
    Failed,
}

impl State {
    const ALL: [Self; 7] = [Self::Creating, Self::Live, Self::Rotating, Self::Updating, Self::Removing, Self::Removed, Self::Failed];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Live => "live",
            Self::Rotating => "rotating",
            Self::Updating => "updating",
            Self::Removing => "removing",
            Self::Removed => "removed",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|state| state.name() == s).ok_or(())
    }
}

/// One provisioned instance of a service: who asked for it, under which grant, where it is.
#[derive(Clone, Debug)]
pub struct Resource {
    pub id: ResourceId,
    pub organisation: OrganisationId,
    pub project: ProjectId,
    pub project_name: ProjectName,
    pub environment: EnvironmentName,
    pub provider: ProviderName,
    pub service: ServiceName,
    pub name: ResourceName,
    pub state: State,
    pub account: Option<AccountId>,
    pub provider_resource: Option<String>,
    pub person: PersonId,
    pub agent: AgentId,
    pub grant: GrantId,
    pub saga: SagaId,
    pub configuration: Value,
    pub endpoints: Vec<Endpoint>,
    /// Quote, terms and payment ids, for the trace.
    pub facts: Value,
    pub created_at: Timestamp,
}

impl Resource {
    #[must_use]
    pub fn service_ref(&self) -> ServiceRef {
        ServiceRef { provider: self.provider.clone(), service: self.service.clone() }
    }
}

/// Takes the name and writes the resource down, before anything remote happens.
///
/// Answers false when the name is taken in this environment.
pub fn insert(tx: &mut Tx<'_>, resource: &Resource) -> Result<bool, DbError> {
    let insert = "insert into resource (id, organisation, project, project_name, environment, provider, service, name, state,
                  person, agent, grant_id, saga, configuration, endpoints, facts, created_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '[]', $15, $16) on conflict do nothing";
    let r = resource;
    let made = tx.execute(
        insert,
        params![
            r.id,
            r.organisation,
            r.project,
            r.project_name,
            r.environment,
            r.provider,
            r.service,
            r.name,
            r.state.name(),
            r.person,
            r.agent,
            r.grant,
            r.saga,
            r.configuration,
            r.facts,
            r.created_at
        ],
    )?;
    Ok(made == 1)
}

pub fn get(tx: &mut Tx<'_>, id: &ResourceId) -> Result<Option<Resource>, DbError> {
    tx.query_opt("select * from resource where id = $1", params![id])?.map(|row| read(&row)).transpose()
}

/// The environments of an organisation in which something is or was provisioned, each with its project.
pub fn environments(tx: &mut Tx<'_>, organisation: &OrganisationId) -> Result<Vec<(ProjectName, EnvironmentName)>, DbError> {
    let select = "select distinct project_name, environment from resource where organisation = $1";
    tx.query(select, params![organisation])?.iter().map(|row| Ok((row.parse("project_name")?, row.parse("environment")?))).collect()
}

pub fn in_environment(tx: &mut Tx<'_>, project: &ProjectId, environment: &EnvironmentName) -> Result<Vec<Resource>, DbError> {
    let select = "select * from resource where project = $1 and environment = $2 and removed_at is null order by created_at, id";
    tx.query(select, params![project, environment])?.iter().map(read).collect()
}

pub fn of_organisation(tx: &mut Tx<'_>, organisation: &OrganisationId, provider: &ProviderName) -> Result<Vec<Resource>, DbError> {
    let select = "select * from resource where organisation = $1 and provider = $2 and removed_at is null order by created_at, id";
    tx.query(select, params![organisation, provider])?.iter().map(read).collect()
}

pub fn by_provider_resource(tx: &mut Tx<'_>, provider: &ProviderName, provider_resource: &str) -> Result<Option<Resource>, DbError> {
    let select = "select * from resource where provider = $1 and provider_resource = $2";
    tx.query_opt(select, params![provider, provider_resource])?.map(|row| read(&row)).transpose()
}

/// Notes what the provider made, as soon as it is known.
pub fn created(tx: &mut Tx<'_>, id: &ResourceId, account: &AccountId, provider_resource: &str) -> Result<(), DbError> {
    tx.execute("update resource set account = $2, provider_resource = $3 where id = $1", params![id, account, provider_resource]).map(drop)
}

/// Makes the resource live and records where it can be reached.
pub fn live(tx: &mut Tx<'_>, resource: &Resource, endpoints: &[Endpoint], facts: &Value, now: Timestamp) -> Result<(), DbError> {
    let json = serde_json::to_string(endpoints).map_err(|e| DbError::Other(e.to_string()))?;
    tx.execute("update resource set state = 'live', endpoints = $2, facts = $3 where id = $1", params![resource.id, json, facts])?;
    for endpoint in endpoints {
        if let Some(host) = host_of(endpoint)
            && !is_claimed_elsewhere(tx, &resource.organisation, &host, &resource.provider)?
        {
            endpoint_add(tx, &resource.organisation, &host, &resource.id, None, now)?;
        }
    }
    Ok(())
}

/// What a resource became; it is live again.
pub fn changed(tx: &mut Tx<'_>, after: &Resource, facts: &Value) -> Result<(), DbError> {
    let update = "update resource set state = 'live', service = $2, configuration = $3, facts = $4 where id = $1 and removed_at is null";
    tx.execute(update, params![after.id, after.service, after.configuration, facts]).map(drop)
}

/// Ends the resource; its name is free again.
pub fn ended(tx: &mut Tx<'_>, id: &ResourceId, state: State, now: Timestamp) -> Result<(), DbError> {
    tx.execute("delete from endpoint where resource = $1", params![id])?;
    tx.execute("update resource set state = $2, removed_at = $3 where id = $1 and removed_at is null", params![id, state.name(), now])
        .map(drop)
}

/// Marks that this saga changes it: one at a time.
pub fn begin_change(tx: &mut Tx<'_>, id: &ResourceId, saga: &SagaId, state: State) -> Result<(), DbError> {
    tx.execute("update resource set state = $3, saga = $2 where id = $1", params![id, saga, state.name()]).map(drop)
}

pub fn set_state(tx: &mut Tx<'_>, id: &ResourceId, state: State) -> Result<(), DbError> {
    tx.execute("update resource set state = $2 where id = $1 and removed_at is null", params![id, state.name()]).map(drop)
}

/// Records that a host leads to a resource (and to a deployment of it), so that a trace can start from the URL.
pub fn endpoint_add(
    tx: &mut Tx<'_>,
    organisation: &OrganisationId,
    host: &HostName,
    resource: &ResourceId,
    deployment: Option<&str>,
    now: Timestamp,
) -> Result<(), DbError> {
    let upsert = "insert into endpoint (organisation, host, resource, deployment, since) values ($1, $2, $3, $4, $5)
                  on conflict (organisation, host, resource) do update set deployment = coalesce(excluded.deployment, endpoint.deployment),
                  since = case when excluded.deployment is null then endpoint.since else excluded.since end";
    tx.execute(upsert, params![organisation, host, resource, deployment, now]).map(drop)
}

/// Whether another provider's live resource already answers for the host: then this provider's word for it does not count.
pub fn is_claimed_elsewhere(
    tx: &mut Tx<'_>,
    organisation: &OrganisationId,
    host: &HostName,
    provider: &ProviderName,
) -> Result<bool, DbError> {
    let select = "select e.resource from endpoint e join resource r on r.id = e.resource
                  where e.organisation = $1 and e.host = $2 and r.provider <> $3 and r.removed_at is null limit 1";
    Ok(tx.query_opt(select, params![organisation, host, provider])?.is_some())
}

/// The resources and deployments a host leads to, the one that came last at the end.
pub fn endpoints_of(tx: &mut Tx<'_>, organisation: &OrganisationId, host: &HostName) -> Result<Vec<(ResourceId, Option<String>)>, DbError> {
    let select = "select resource, deployment from endpoint where organisation = $1 and host = $2 order by since";
    tx.query(select, params![organisation, host])?.iter().map(|row| Ok((row.parse("resource")?, row.get("deployment")?))).collect()
}

fn host_of(endpoint: &Endpoint) -> Option<HostName> {
    match endpoint.kind {
        EndpointKind::Domain => endpoint.value.parse().ok(),
        _ => url::Url::parse(&endpoint.value).ok()?.host_str()?.parse().ok(),
    }
}

fn read(row: &Row) -> Result<Resource, DbError> {
    Ok(Resource {
        id: row.parse("id")?,
        organisation: row.parse("organisation")?,
        project: row.parse("project")?,
        project_name: row.parse("project_name")?,
        environment: row.parse("environment")?,
        provider: row.parse("provider")?,
        service: row.parse("service")?,
        name: row.parse("name")?,
        state: row.parse("state")?,
        account: row.parse_opt("account")?,
        provider_resource: row.get("provider_resource")?,
        person: row.parse("person")?,
        agent: row.parse("agent")?,
        grant: row.parse("grant_id")?,
        saga: row.parse("saga")?,
        configuration: row.json("configuration")?,
        endpoints: row.json("endpoints")?,
        facts: row.json("facts")?,
        created_at: row.get("created_at")?,
    })
}
