//! Stopping and starting one agent's credentials, and a whole account. Each has taken effect when it answers: tokens are looked up
//! on every call.

use purser_provider::Answer;
use purser_values::id::CloudAccountId;
use purser_wire::control::{AccountControl, AgentControl};
use slipway_accounts::account::freeze::{account_freeze, account_thaw};
use slipway_accounts::agent::{agent_start, agent_stop};

use super::refusal;
use crate::billing::standing;
use crate::cloud::Cloud;

pub async fn disable(cloud: &Cloud, account: CloudAccountId, control: AgentControl) -> Answer<u64> {
    let (now, agent) = (cloud.env.now(), control.agent.id);
    tracing::info!(%account, %agent, "an agent's credentials are disabled");
    cloud.db.write(move |tx| agent_stop(tx, &account, &agent, now)).await.map_err(|e| refusal::store(&e))
}

pub async fn enable(cloud: &Cloud, account: CloudAccountId, control: AgentControl) -> Answer<u64> {
    let agent = control.agent.id;
    tracing::info!(%account, %agent, "an agent's credentials are enabled");
    cloud.db.write(move |tx| agent_start(tx, &account, &agent)).await.map_err(|e| refusal::store(&e))
}

pub async fn freeze(cloud: &Cloud, account: CloudAccountId, control: AccountControl) -> Answer<()> {
    let (id, dark) = (account.clone(), control.dark);
    tracing::info!(%account, dark, "an account is frozen");
    cloud.db.write(move |tx| account_freeze(tx, &id, dark)).await.map_err(|e| refusal::store(&e))?;
    standing::account(cloud, &account).await.map_err(|e| refusal::standing(&e))
}

pub async fn thaw(cloud: &Cloud, account: CloudAccountId) -> Answer<()> {
    let id = account.clone();
    tracing::info!(%account, "an account is thawed");
    cloud.db.write(move |tx| account_thaw(tx, &id)).await.map_err(|e| refusal::store(&e))?;
    standing::account(cloud, &account).await.map_err(|e| refusal::standing(&e))
}
