//! What was changed in an account through its API: by which token, of which agent, how it was asked and what came of it.
//!
//! An entry is written before the change and completed once after it: a change without an entry cannot be, and an entry without an
//! outcome says that nobody knows. Nothing is ever changed in an entry but its missing outcome, and nothing is deleted before
//! [`AUDIT_KEPT_S`]. What was ordered, charged and given back is elsewhere and for good: no sum needs an entry.

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Env, Timestamp};

use crate::account::HexId;
use crate::token::ApiToken;

pub(crate) const TABLE: &str = "create table cloud_audit (
    id {text} primary key, account {text} not null, at {int} not null, token {text} not null, agent {text}, resource {text} not null,
    method {text} not null, path {text} not null, user_agent {text} not null, status {int}, ended_at {int}
){strict};
create index cloud_audit_of_account on cloud_audit (account, at, id)";

pub(crate) const BY_TIME: &str = "create index cloud_audit_by_time on cloud_audit (at)";

/// How long an entry is kept, in seconds: eighteen months, as the contract has it.
pub const AUDIT_KEPT_S: i64 = 548 * 86_400;
/// Entries that one sweep removes at most, so that it stands in nobody's way.
const SWEPT: i64 = 5_000;

/// A change that is about to be made.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub method: String,
    pub path: String,
    pub user_agent: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: String,
    pub at: Timestamp,
    pub token: String,
    pub agent: Option<String>,
    /// The resource that the token was delivered with.
    pub resource: String,
    pub method: String,
    pub path: String,
    pub user_agent: String,
    /// The HTTP status of the answer; nothing while it is under way, or when nobody knows.
    pub status: Option<u16>,
}

/// Which entries, and after which one.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub since: Timestamp,
    /// Up to and without this moment.
    pub before: Timestamp,
    /// Only this method; empty for all.
    pub method: String,
    pub after: Option<(Timestamp, String)>,
    pub oldest_first: bool,
    pub limit: i64,
}

/// # Errors
/// When the store fails; then nothing may be changed.
pub fn audit_begin(tx: &mut Tx<'_>, env: &Env, token: &ApiToken, attempt: &Attempt) -> Result<String, DbError> {
    let id = HexId::mint(env);
    let insert = "insert into cloud_audit (id, account, at, token, agent, resource, method, path, user_agent)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let agent = token.agent.as_ref().map(purser_wire::id::AgentId::as_str);
    let Attempt { method, path, user_agent } = attempt;
    tx.execute(insert, params![id.as_str(), token.account, env.now(), token.id, agent, token.resource, method, path, user_agent])?;
    Ok(id.as_str().to_owned())
}

/// # Errors
/// When the store fails.
pub fn audit_end(tx: &mut Tx<'_>, env: &Env, id: &str, status: u16) -> Result<(), DbError> {
    let update = "update cloud_audit set status = $2, ended_at = $3 where id = $1 and status is null";
    tx.execute(update, params![id, i64::from(status), env.now()]).map(drop)
}

/// Newest first, unless asked otherwise.
///
/// # Errors
/// When the store fails.
pub fn audit_list(tx: &mut Tx<'_>, account: &CloudAccountId, wanted: &Wanted) -> Result<Vec<Entry>, DbError> {
    const OLDEST: &str = "select * from cloud_audit where account = $1 and at >= $2 and at < $3 and (method = $4 or $4 = '')
        and (at > $5 or (at = $5 and id > $6)) order by at asc, id asc limit $7";
    const NEWEST: &str = "select * from cloud_audit where account = $1 and at >= $2 and at < $3 and (method = $4 or $4 = '')
        and (at < $5 or (at = $5 and id < $6)) order by at desc, id desc limit $7";
    let (select, edge) = if wanted.oldest_first { (OLDEST, Timestamp::EPOCH) } else { (NEWEST, wanted.before) };
    let (at, id) = wanted.after.clone().unwrap_or((edge, String::new()));
    let rows = tx.query(select, params![account, wanted.since, wanted.before, wanted.method, at, id, wanted.limit])?;
    rows.iter().map(read).collect()
}

/// Forgets the oldest entries whose time is over. Run now and then; what one call leaves, the next takes.
///
/// # Errors
/// When the store fails.
pub fn audit_sweep(tx: &mut Tx<'_>, now: Timestamp) -> Result<u64, DbError> {
    let delete = "delete from cloud_audit where id in (select id from cloud_audit where at <= $1 order by at limit $2)";
    tx.execute(delete, params![now.plus_secs(-AUDIT_KEPT_S), SWEPT])
}

fn read(row: &Row) -> Result<Entry, DbError> {
    let status = row.get::<Option<i64>>("status")?;
    Ok(Entry {
        id: row.get("id")?,
        at: row.get("at")?,
        token: row.get("token")?,
        agent: row.get("agent")?,
        resource: row.get("resource")?,
        method: row.get("method")?,
        path: row.get("path")?,
        user_agent: row.get("user_agent")?,
        status: status.and_then(|status| u16::try_from(status).ok()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MIGRATIONS;
    use crate::token::Permissions;
    use purser_db::testing::{START, each_engine};
    use purser_values::id::CloudResourceId;

    #[tokio::test]
    async fn pages_hold_every_entry_once_in_both_directions() {
        each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| async move {
            let (env, clock) = Env::test(START, 5);
            let account = CloudAccountId::mint(&env);
            let token = ApiToken {
                id: "t".into(),
                account: account.clone(),
                agent: None,
                resource: CloudResourceId::mint(&env),
                environment: None,
                permissions: Permissions::ALL,
                prefix: String::new(),
            };
            db.write(move |tx| -> Result<(), DbError> {
                for number in 0..25 {
                    // several at the same moment
                    if number % 4 == 0 {
                        clock.advance_secs(1);
                    }
                    let method = if number % 5 == 0 { "DELETE" } else { "PUT" };
                    let attempt = Attempt { method: method.into(), path: format!("/{number}"), user_agent: String::new() };
                    let id = audit_begin(tx, &env, &token, &attempt)?;
                    audit_end(tx, &env, &id, 200)?;
                    audit_end(tx, &env, &id, 500)?;
                }
                for oldest_first in [false, true] {
                    let mut wanted =
                        Wanted { since: START, before: START.plus_secs(100), method: String::new(), after: None, oldest_first, limit: 4 };
                    let mut all = Vec::new();
                    loop {
                        let page = audit_list(tx, &account, &wanted)?;
                        let Some(last) = page.last() else { break };
                        wanted.after = Some((last.at, last.id.clone()));
                        all.extend(page);
                    }
                    assert!(all.iter().all(|entry| entry.status == Some(200)), "an outcome was changed");
                    let mut paths: Vec<&str> = all.iter().map(|entry| entry.path.as_str()).collect();
                    paths.sort_unstable();
                    paths.dedup();
                    assert_eq!((all.len(), paths.len()), (25, 25));
                    let deleted = Wanted { method: "DELETE".into(), after: None, limit: 100, ..wanted };
                    assert_eq!(audit_list(tx, &account, &deleted)?.len(), 5);
                }
                let at = |age_s: i64| START.plus_secs(4 + AUDIT_KEPT_S + age_s);
                assert_eq!(audit_sweep(tx, at(-10))?, 0, "an entry went before its time");
                let halfway = audit_sweep(tx, at(0))?;
                assert!((1..25).contains(&halfway), "{halfway}");
                assert_eq!(halfway + audit_sweep(tx, at(100))?, 25);
                assert!(
                    audit_list(
                        tx,
                        &CloudAccountId::mint(&env),
                        &Wanted {
                            since: START,
                            before: START.plus_secs(100),
                            method: String::new(),
                            after: None,
                            oldest_first: true,
                            limit: 9,
                        }
                    )?
                    .is_empty()
                );
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
