//! Freezing and thawing an agent, and ending its grants, in all domains at once.
//!
//! INVARIANT (no-grant-no-credential): where no grant in force covers a provider, the agent's credentials there are wanted
//! disabled; a new grant wants them enabled again, unless the agent is frozen.
//!
//! The agent's own tokens and its money stop with the commit of this write. What providers must do is written down as wanted
//! in the same write, with a job for each of them that goes on until the provider confirms.

use purser_authority::action::{AgentFreeze, AgentThaw, GrantRevoke};
use purser_authority::{Caller, Done, Event};
use purser_db::jobs::NewJob;
use purser_db::{DbError, Tx};
use purser_identity::agent::{self, FreezeError, Frozen, ThawError, Thawed};
use purser_identity::grant::{self, Grant, RevokeError, Revoked};
use purser_spend::{freeze, seller};
use purser_values::id::{AgentId, GrantId};
use purser_values::name::ProviderName;
use purser_values::{Env, Timestamp};
use serde::{Deserialize, Serialize};

use crate::store::control;

/// The kind of job that tells one provider what is wanted of one agent's credentials.
pub const AGENT_CONTROL_JOB: &str = "agent_control";

/// The payload of such a job. What is wanted is read when it runs, so that a late job never undoes a newer wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentControlJob {
    pub agent: AgentId,
    pub provider: ProviderName,
}

/// `agent_freeze`.
///
/// # Errors
/// When the caller may not, the agent is not the organisation's, or the store fails.
pub fn agent_freeze(tx: &mut Tx<'_>, env: &Env, caller: &Caller, id: &AgentId, dark: bool) -> Result<Done<Frozen>, FreezeError> {
    let permit = agent::permit::<AgentFreeze, FreezeError>(tx, caller, id, env.now())?;
    let mut done = agent::agent_freeze(tx, env, permit, dark)?;
    freeze::apply(tx, id, true, env.now())?;
    done.jobs.extend(seller::look_again(tx, env, id)?);
    done.jobs.extend(tell_providers(tx, env, id, "disabled")?);
    done.jobs.extend(follow_below(tx, env, id)?);
    Ok(done)
}

/// `agent_thaw`: the same values as before the freeze.
///
/// # Errors
/// When the caller may not, the agent is not the organisation's, or the store fails.
pub fn agent_thaw(tx: &mut Tx<'_>, env: &Env, caller: &Caller, id: &AgentId) -> Result<Done<Thawed>, ThawError> {
    let permit = agent::permit::<AgentThaw, ThawError>(tx, caller, id, env.now())?;
    let mut done = agent::agent_thaw(tx, permit)?;
    freeze::apply(tx, id, false, env.now())?;
    done.jobs.extend(follow_grants(tx, env, id)?);
    done.jobs.extend(follow_below(tx, env, id)?);
    Ok(done)
}

/// `grant_revoke`: the agent's tokens under it end with this write, and so do its credentials where it has no other grant.
///
/// # Errors
/// When the caller may not, the grant is not the organisation's, or the store fails.
pub fn grant_revoke(tx: &mut Tx<'_>, env: &Env, caller: &Caller, id: &GrantId, how: &str) -> Result<Done<Revoked>, RevokeError> {
    let permit = grant::permit::<GrantRevoke, RevokeError>(tx, caller, id, env.now())?;
    let mut done = grant::grant_revoke(tx, env.now(), permit, how)?;
    let mut agents: Vec<AgentId> = std::iter::once(&done.value.grant).chain(&done.value.below).map(|grant| grant.agent.clone()).collect();
    agents.sort();
    agents.dedup();
    for agent in &agents {
        done.jobs.extend(follow_grants(tx, env, agent)?);
    }
    Ok(done)
}

/// Grants that are ended in one write.
const BATCH: i64 = 100;

/// `grant_end`: what follows when grants run out. Answers how many did; run it until none do.
///
/// # Errors
/// When the store fails.
pub fn grant_end(tx: &mut Tx<'_>, env: &Env) -> Result<Done<usize>, DbError> {
    let ended = grant::run_out(tx, env.now(), BATCH)?;
    let mut done = Done::quiet(ended.len());
    for grant in ended {
        done.jobs.extend(follow_grants(tx, env, &grant.agent)?);
        let event = Event::done("grant_end", &Caller::System, grant.id.as_str());
        done.events.push(event.in_organisation(&grant.organisation).related([grant.agent.as_str()]));
    }
    Ok(done)
}

/// [`follow_grants`] for every agent that acts, or acted, within this one's grants: a freeze takes them along, a thaw gives back.
fn follow_below(tx: &mut Tx<'_>, env: &Env, id: &AgentId) -> Result<Vec<NewJob>, DbError> {
    let mut jobs = Vec::new();
    for agent in grant::agents_below(tx, id)? {
        jobs.extend(follow_grants(tx, env, &agent)?);
    }
    Ok(jobs)
}

/// Wants at each provider what the agent's grants and standing say now, and tells those for which that is new.
pub(crate) fn follow_grants(tx: &mut Tx<'_>, env: &Env, id: &AgentId) -> Result<Vec<NewJob>, DbError> {
    let covering = covering(tx, id, env.now())?;
    let told = control::of_agent(tx, id)?;
    let mut jobs = Vec::new();
    for provider in control::providers_of(tx, id)? {
        let wanted = if is_covered(&covering, &provider) { "enabled" } else { "disabled" };
        // Where nothing was ever said, credentials are enabled.
        if told.iter().find(|c| c.provider == provider).map_or("enabled", |c| c.wanted.as_str()) != wanted {
            jobs.push(tell(tx, env, id, provider, wanted)?);
        }
    }
    Ok(jobs)
}

/// The jobs for credentials that a provider has just made: a freeze or an end that came while it was at work did not know of
/// them yet.
pub(crate) fn follow_created(tx: &mut Tx<'_>, env: &Env, id: &AgentId, provider: &ProviderName) -> Result<Option<NewJob>, DbError> {
    if is_covered(&covering(tx, id, env.now())?, provider) {
        return Ok(None);
    }
    tell(tx, env, id, provider.clone(), "disabled").map(Some)
}

/// The agent's grants that hold, with no frozen agent in their chain; the agent itself is one of it.
fn covering(tx: &mut Tx<'_>, id: &AgentId, now: Timestamp) -> Result<Vec<Grant>, DbError> {
    let mut covering = Vec::new();
    for grant in grant::of_agent(tx, id)? {
        let chain = grant::chain(tx, &grant, now)?;
        if chain.in_force && !chain.frozen {
            covering.push(grant);
        }
    }
    Ok(covering)
}

fn is_covered(covering: &[Grant], provider: &ProviderName) -> bool {
    covering.iter().any(|grant| grant.scope.providers.contains(provider))
}

fn tell_providers(tx: &mut Tx<'_>, env: &Env, agent: &AgentId, wanted: &str) -> Result<Vec<NewJob>, DbError> {
    control::providers_of(tx, agent)?.into_iter().map(|provider| tell(tx, env, agent, provider, wanted)).collect()
}

fn tell(tx: &mut Tx<'_>, env: &Env, agent: &AgentId, provider: ProviderName, wanted: &str) -> Result<NewJob, DbError> {
    control::want(tx, agent, &provider, wanted, env.now())?;
    let payload = serde_json::json!(AgentControlJob { agent: agent.clone(), provider });
    Ok(NewJob::now(env, AGENT_CONTROL_JOB, payload))
}
