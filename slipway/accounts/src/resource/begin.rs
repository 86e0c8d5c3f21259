//! `resource_begin`: records an order before anything is bought. A repeated order finds the first one and goes on with it.

use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::id::{CloudAccountId, CloudLinkId, CloudResourceId, QuoteId};
use purser_wire::error::code;
use purser_wire::id::AgentId;
use serde_json::{Map, Value};

use super::get::resource_by_key;
use super::{Resource, ResourceState};
use crate::account::get::account_get;
use crate::agent::agent_is_stopped;
use crate::link::get::link_is_active;
use crate::service::Service;
use crate::subscription;
use crate::suspension::{Calling, call_is_suspended};

/// Most resources of one account that are not removed.
pub const RESOURCES: i64 = 10_000;

/// What is ordered, for whom.
#[derive(Clone, Debug)]
pub struct Order {
    pub account: CloudAccountId,
    /// Over which link it came.
    pub link: Option<CloudLinkId>,
    pub service: Service,
    pub agent: Option<AgentId>,
    /// The grant under which the agent orders, as the orchestrator names it.
    pub grant: Option<String>,
    pub configuration: Map<String, Value>,
    pub orchestrator_resource: Option<String>,
    pub project: Option<String>,
    pub environment: Option<String>,
    pub quote: Option<QuoteId>,
    /// The orchestrator's idempotency key.
    pub key: Option<String>,
    /// A name that only one order may have at a time, such as the domain to register.
    pub claim: Option<String>,
}

/// A recorded order.
#[derive(Clone, Debug)]
pub struct Begun {
    pub resource: Resource,
    /// Whether it was recorded just now.
    pub is_new: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum ResourceBeginError {
    #[error("the account is frozen; the person who froze it can thaw it")]
    AccountFrozen,
    #[error("the agent's credentials are disabled; the person who disabled them can enable them")]
    AgentStopped,
    /// The operator stopped what asks.
    #[error("slipway's operator has suspended this; write to the address in the terms of service")]
    Suspended,
    #[error("the account's owner cut this orchestrator off; ask for the account again")]
    LinkCut,
    #[error("`workers` needs a plan; add `workers:free` or `workers:paid` first")]
    PlanNeeded,
    #[error("the name was taken by another order a moment ago; choose another")]
    Claimed,
    #[error("the idempotency key was used for another order; use a new one")]
    KeyConflict,
    #[error("the account has its {RESOURCES} resources; remove some first")]
    TooMany,
    #[error(transparent)]
    Store(#[from] DbError),
}

impl ResourceBeginError {
    /// The code on the wire.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::AccountFrozen => code::ACCOUNT_FROZEN,
            Self::AgentStopped => code::CREDENTIALS_DISABLED,
            Self::Suspended => "suspended",
            Self::LinkCut => code::UNAUTHORIZED,
            Self::PlanNeeded => "plan_required",
            Self::Claimed => "domain_taken",
            Self::KeyConflict => code::IDEMPOTENCY_CONFLICT,
            Self::TooMany => "too_many_resources",
            Self::Store(_) => code::SERVER_ERROR,
        }
    }
}

/// # Errors
/// When the account or the agent may not order now, or the order contradicts another.
pub fn resource_begin(tx: &mut Tx<'_>, env: &Env, order: &Order) -> Result<Begun, ResourceBeginError> {
    if let Some(link) = &order.link
        && !link_is_active(tx, link, &order.account)?
    {
        return Err(ResourceBeginError::LinkCut);
    }
    // Before a freeze is looked at: whoever repeats an order must learn what became of it, to finish or to undo it. What comes of it
    // is of no use to a stopped agent.
    if let Some(resource) = first_try(tx, order)? {
        return Ok(Begun { resource, is_new: false });
    }
    may_order(tx, order)?;
    if order.service == Service::Workers && !subscription::has_plan(tx, &order.account)? {
        return Err(ResourceBeginError::PlanNeeded);
    }
    let count = "select count(*) as n from cloud_resource where account = $1 and state in ('pending', 'complete')";
    if tx.query_one(count, params![order.account])?.get::<i64>("n")? >= RESOURCES {
        return Err(ResourceBeginError::TooMany);
    }
    insert(tx, env, order)
}

fn may_order(tx: &mut Tx<'_>, order: &Order) -> Result<(), ResourceBeginError> {
    let account = account_get(tx, &order.account)?.ok_or(DbError::NoRow)?;
    if !account.state.is_active() {
        return Err(ResourceBeginError::AccountFrozen);
    }
    let calling = Calling {
        account: &account.id,
        link: order.link.as_ref(),
        grant: order.grant.as_deref(),
        agent: order.agent.as_ref().map(AgentId::as_str),
    };
    if call_is_suspended(tx, calling)? {
        return Err(ResourceBeginError::Suspended);
    }
    match &order.agent {
        Some(agent) if agent_is_stopped(tx, &order.account, agent)? => Err(ResourceBeginError::AgentStopped),
        _ => Ok(()),
    }
}

fn first_try(tx: &mut Tx<'_>, order: &Order) -> Result<Option<Resource>, ResourceBeginError> {
    let Some(key) = &order.key else { return Ok(None) };
    let Some(first) = resource_by_key(tx, &order.account, key)? else { return Ok(None) };
    let same = first.service == order.service && first.configuration == order.configuration && first.agent == order.agent;
    if same { Ok(Some(first)) } else { Err(ResourceBeginError::KeyConflict) }
}

fn insert(tx: &mut Tx<'_>, env: &Env, order: &Order) -> Result<Begun, ResourceBeginError> {
    let (id, now) = (CloudResourceId::mint(env), env.now());
    let insert = "insert into cloud_resource (id, account, service, agent, configuration, orchestrator_resource, project, environment,
                      quote, order_key, claim, link, agent_grant, state, created_at, changed_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $13, $14, 'pending', $12, $12) on conflict do nothing";
    let values = params![
        id,
        order.account,
        order.service.id(),
        order.agent.as_ref().map(AgentId::as_str),
        Value::Object(order.configuration.clone()),
        order.orchestrator_resource,
        order.project,
        order.environment,
        order.quote,
        order.key,
        order.claim,
        now,
        order.link,
        order.grant
    ];
    if tx.execute(insert, values)? == 0 {
        // The key was looked at above, in this transaction: what is in the way is the claim.
        return Err(ResourceBeginError::Claimed);
    }
    let resource = Resource {
        id,
        account: order.account.clone(),
        service: order.service,
        agent: order.agent.clone(),
        configuration: order.configuration.clone(),
        quote: order.quote.clone(),
        state: ResourceState::Pending,
        created_at: now,
    };
    Ok(Begun { resource, is_new: true })
}
