//! Stopping and starting one agent's credentials, and a whole account. Each has taken effect when it answers: tokens are looked up
//! on every call. Each belongs to the link that it came over, and only that one takes it back.

use http::StatusCode;
use purser_provider::{Answer, ProviderError};
use purser_values::id::{CloudAccountId, CloudLinkId};
use purser_wire::control::{AccountControl, AgentControl};
use purser_wire::error::code;
use slipway_accounts::account::freeze::{account_freeze, account_thaw};
use slipway_accounts::agent::{agent_start, agent_stop};

use super::refusal;
use crate::billing::standing;
use crate::cloud::Cloud;

pub async fn disable(cloud: &Cloud, account: CloudAccountId, by: Option<CloudLinkId>, control: AgentControl) -> Answer<u64> {
    let (now, agent) = (cloud.env.now(), control.agent.id);
    tracing::info!(%account, %agent, "an agent's credentials are disabled");
    cloud.db.write(move |tx| agent_stop(tx, &account, by.as_ref(), &agent, now)).await.map_err(|e| refusal::store(&e))
}

pub async fn enable(cloud: &Cloud, account: CloudAccountId, by: Option<CloudLinkId>, control: AgentControl) -> Answer<u64> {
    let agent = control.agent.id;
    tracing::info!(%account, %agent, "an agent's credentials are enabled");
    cloud.db.write(move |tx| agent_start(tx, &account, by.as_ref(), &agent)).await.map_err(|e| refusal::store(&e))
}

pub async fn freeze(cloud: &Cloud, account: CloudAccountId, by: Option<CloudLinkId>, control: AccountControl) -> Answer<()> {
    let (id, dark, now) = (account.clone(), control.dark, cloud.env.now());
    tracing::info!(%account, dark, "an account is frozen");
    cloud.db.write(move |tx| account_freeze(tx, &id, by.as_ref(), dark, now)).await.map_err(|e| refusal::store(&e))?;
    standing::account(cloud, &account).await.map_err(|e| refusal::standing(&e))
}

/// Lifts what this link froze. Where another's freeze stays, it says so instead of telling people that the account goes on.
pub async fn thaw(cloud: &Cloud, account: CloudAccountId, by: Option<CloudLinkId>) -> Answer<()> {
    let id = account.clone();
    tracing::info!(%account, "an account is thawed");
    let now = cloud.db.write(move |tx| account_thaw(tx, &id, by.as_ref())).await.map_err(|e| refusal::store(&e))?;
    standing::account(cloud, &account).await.map_err(|e| refusal::standing(&e))?;
    if now.is_active() {
        return Ok(());
    }
    let message = "this connection freezes the account no more; another one does, and the account is thawed there";
    Err(ProviderError::new(StatusCode::CONFLICT, code::ACCOUNT_FROZEN, message))
}
