//! `token_mint`: a fresh token for a resource. The plain text exists in the answer only.

use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::id::{CloudAccountId, CloudLinkId, CloudResourceId};
use purser_values::{Env, Secret};
use purser_wire::id::AgentId;

use super::{PREFIX, Permissions};
use crate::account::HexId;

/// Whom a token is for.
#[derive(Clone, Debug)]
pub struct TokenOrder<'a> {
    pub account: &'a CloudAccountId,
    /// The link that it is delivered over, whose cut ends it.
    pub link: Option<&'a CloudLinkId>,
    pub agent: Option<&'a AgentId>,
    pub resource: &'a CloudResourceId,
    pub permissions: Permissions,
}

/// # Errors
/// When the store fails.
pub fn token_mint(tx: &mut Tx<'_>, env: &Env, order: &TokenOrder<'_>) -> Result<Secret<String>, DbError> {
    let (plain, hash) = token::mint(env, PREFIX);
    let text = plain.expose();
    let last_four = text.get(text.len().saturating_sub(4)..).unwrap_or_default();
    let insert = "insert into api_token (id, account, agent, resource, hash, prefix, last_four, permissions, created_at, link)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let values = params![
        HexId::mint(env).as_str(),
        order.account,
        order.agent.map(AgentId::as_str),
        order.resource,
        hash,
        token::public_prefix(text),
        last_four,
        order.permissions.to_string(),
        env.now(),
        order.link
    ];
    tx.execute(insert, values)?;
    Ok(plain)
}
