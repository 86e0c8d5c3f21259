//! `token_verify`: whose token this is, and whether it works at this moment. One statement, read on every API call, so that a
//! stop or a freeze bites on the next call.

use purser_crypto::token;
use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;

use super::{ApiToken, PREFIX};
use crate::account::{self, Account, AccountState};
use crate::suspension::token_is_suspended;

/// What became of a presented token. Nobody but the holder of a known token learns more than `Unknown`.
#[derive(Clone, Debug)]
pub enum Presented {
    Valid {
        token: ApiToken,
        account: Account,
    },
    /// The agent was stopped or the account is frozen; the token may work again.
    Stopped {
        id: String,
    },
    /// Its time is over.
    Expired {
        id: String,
    },
    /// Never minted, mistyped, or revoked.
    Unknown,
}

/// # Errors
/// When the store fails.
pub fn token_verify(tx: &mut Tx<'_>, plain: &str, now: Timestamp) -> Result<Presented, DbError> {
    if !token::is_well_formed(plain, PREFIX) {
        return Ok(Presented::Unknown);
    }
    let select = "select t.id as token_id, t.agent, t.resource, t.permissions, t.prefix, t.not_before, t.expires_at, t.disabled, a.*,
                      (select max(r.environment) from cloud_resource r where r.id = t.resource) as environment,
                      (select max(s.agent) from agent_stop s where s.account = t.account and s.agent = t.agent) as stopped
                  from api_token t join cloud_account a on a.id = t.account
                  where t.hash = $1 and t.revoked_at is null";
    let Some(row) = tx.query_opt(select, params![token::hash(plain)])? else { return Ok(Presented::Unknown) };
    let (id, account): (String, Account) = (row.get("token_id")?, account::read(&row)?);
    if row.get::<Option<Timestamp>>("expires_at")?.is_some_and(|end| end <= now) {
        return Ok(Presented::Expired { id });
    }
    if row.get::<Option<String>>("stopped")?.is_some()
        || !account.state.is_active()
        || !in_force(&row, now)?
        || token_is_suspended(tx, &id)?
    {
        return Ok(Presented::Stopped { id });
    }
    let token = ApiToken {
        id,
        account: account.id.clone(),
        agent: row.parse_opt("agent")?,
        resource: row.parse("resource")?,
        environment: row.get("environment")?,
        permissions: row.parse("permissions")?,
        prefix: row.get("prefix")?,
    };
    Ok(Presented::Valid { token, account })
}

/// Whether a token that was verified before still works. For asking again where something is changed: between the first line of a
/// request and its last byte lies as much time as the client likes.
///
/// # Errors
/// When the store fails.
pub fn token_stands(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<bool, DbError> {
    let select = "select t.not_before, t.expires_at, t.disabled, a.state,
                      (select max(s.agent) from agent_stop s where s.account = t.account and s.agent = t.agent) as stopped
                  from api_token t join cloud_account a on a.id = t.account
                  where t.id = $1 and t.revoked_at is null";
    let Some(row) = tx.query_opt(select, params![id])? else { return Ok(false) };
    let lives = in_force(&row, now)? && row.get::<Option<Timestamp>>("expires_at")?.is_none_or(|end| end > now);
    let stands = lives && row.get::<Option<String>>("stopped")?.is_none() && row.parse::<AccountState>("state")?.is_active();
    Ok(stands && !token_is_suspended(tx, id)?)
}

/// Whether a token's time has begun and its maker has not turned it off.
fn in_force(row: &Row, now: Timestamp) -> Result<bool, DbError> {
    let begun = row.get::<Option<Timestamp>>("not_before")?.is_none_or(|begin| begin <= now);
    Ok(begun && !row.get::<Option<bool>>("disabled")?.unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Owner;
    use crate::account::freeze::{account_freeze, account_thaw};
    use crate::account::open::{AccountOpened, AccountOpening, account_open};
    use crate::agent::{agent_start, agent_stop};
    use crate::link::scope::Scopes;
    use crate::realm::testing::realm;
    use crate::store::MIGRATIONS;
    use crate::token::Permissions;
    use crate::token::mint::{TokenOrder, token_mint};
    use crate::token::revoke::token_revoke;
    use purser_db::testing::{START, each_engine};
    use purser_values::Env;
    use purser_values::id::CloudResourceId;
    use purser_wire::id::AgentId;

    #[tokio::test]
    async fn a_stop_refuses_one_agents_tokens_and_the_start_restores_the_same_values() {
        each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| async move {
            let (env, _) = Env::test(START, 5);
            db.write(move |tx| -> Result<(), DbError> {
                let opening = AccountOpening {
                    owner: Owner { issuer: "o".into(), subject: "s".into(), attested: true },
                    email: "a@b.test".parse().unwrap(),
                    organisation: "A".into(),
                    scopes: Scopes::ALL,
                    request: None,
                };
                let AccountOpened::Account(opened) = account_open(tx, &realm(&env), &opening).unwrap() else { panic!("no account") };
                let account = opened.account;
                let mint = |tx: &mut Tx<'_>, agent: &str| {
                    let (agent, resource): (AgentId, _) = (agent.parse().unwrap(), CloudResourceId::mint(&env));
                    let order = TokenOrder {
                        account: &account.id,
                        link: None,
                        agent: Some(&agent),
                        resource: &resource,
                        permissions: Permissions::ALL,
                    };
                    (token_mint(tx, &env, &order).unwrap(), agent, resource)
                };
                let (one, agent, resource) = mint(tx, "agt_1");
                let (two, _, _) = mint(tx, "agt_2");
                let valid = |tx: &mut Tx<'_>, t: &str| matches!(token_verify(tx, t, START).unwrap(), Presented::Valid { .. });
                assert!(valid(tx, one.expose()) && valid(tx, two.expose()));

                assert_eq!(agent_stop(tx, &account.id, None, &agent, START)?, 1);
                assert_eq!(agent_stop(tx, &account.id, None, &agent, START)?, 1);
                assert!(matches!(token_verify(tx, one.expose(), START)?, Presented::Stopped { .. }));
                assert!(valid(tx, two.expose()), "another agent of the account was stopped too");
                let (during, _, _) = mint(tx, "agt_1");
                assert!(!valid(tx, during.expose()), "a token minted during the stop works");
                agent_start(tx, &account.id, None, &agent)?;
                assert!(valid(tx, one.expose()) && valid(tx, during.expose()));

                account_freeze(tx, &account.id, None, false, START)?;
                assert!(!valid(tx, two.expose()));
                account_thaw(tx, &account.id, None)?;
                assert!(valid(tx, two.expose()));

                assert_eq!(token_revoke(tx, &resource, START)?, 1);
                assert!(matches!(token_verify(tx, one.expose(), START)?, Presented::Unknown));
                assert!(matches!(token_verify(tx, "slp_x", START)?, Presented::Unknown));
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
