//! Freezing and thawing an agent in all domains at once.
//!
//! The agent's own tokens and its money stop with the commit of this write. What providers must do is written down as wanted
//! in the same write, with a job for each of them that goes on until the provider confirms.

use purser_authority::action::{AgentFreeze, AgentThaw};
use purser_authority::{Caller, Done};
use purser_db::jobs::NewJob;
use purser_db::{DbError, Tx};
use purser_identity::agent::{self, FreezeError, Frozen, ThawError, Thawed};
use purser_spend::freeze;
use purser_values::Env;
use purser_values::id::AgentId;
use purser_values::name::ProviderName;
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
    done.jobs.extend(tell_providers(tx, env, id, "disabled")?);
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
    done.jobs.extend(tell_providers(tx, env, id, "enabled")?);
    Ok(done)
}

fn tell_providers(tx: &mut Tx<'_>, env: &Env, agent: &AgentId, wanted: &str) -> Result<Vec<NewJob>, DbError> {
    let mut jobs = Vec::new();
    for provider in control::providers_of(tx, agent)? {
        control::want(tx, agent, &provider, wanted, env.now())?;
        let payload = serde_json::json!(AgentControlJob { agent: agent.clone(), provider });
        jobs.push(NewJob::now(env, AGENT_CONTROL_JOB, payload));
    }
    Ok(jobs)
}
