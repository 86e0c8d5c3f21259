//! What the operator stops: by account, orchestrator, grant or agent, and lets go on in one act.
//!
//! A suspension is a row about the mark and not a state of what bears it: what is made under the mark later is stopped, too, and nothing
//! has to be restored when it is lifted. It is read where a token is looked up and where an order or an account begins, in the same write.
//! An orchestrator's own freeze and thaw know nothing of it.

use std::fmt;
use std::str::FromStr;

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{CloudAccountId, CloudLinkId};
use purser_values::{Env, Timestamp};

use crate::account::HexId;

pub const TABLE: &str = "create table operator_suspension (
    id {text} primary key, kind {text} not null, mark {text} not null, why {text} not null, created_at {int} not null, lifted_at {int}
){strict};
create index operator_suspension_mark on operator_suspension (kind, mark);
alter table cloud_resource add column agent_grant {text};
create index cloud_resource_agent on cloud_resource (agent);
create index cloud_resource_grant on cloud_resource (agent_grant)";

/// Characters of a reason that are kept.
const WHY_CHARS: usize = 500;

/// By what things are found and stopped. None of these is personal data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    Account(String),
    /// The issuer that opened an account or over whose link a token was delivered.
    Orchestrator(String),
    /// The grant under which an agent ordered, as its orchestrator names it.
    Grant(String),
    Agent(String),
}

impl Mark {
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::Orchestrator(_) => "orchestrator",
            Self::Grant(_) => "grant",
            Self::Agent(_) => "agent",
        }
    }

    #[must_use]
    pub fn value(&self) -> &str {
        match self {
            Self::Account(mark) | Self::Orchestrator(mark) | Self::Grant(mark) | Self::Agent(mark) => mark,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write `account=…`, `orchestrator=…`, `grant=…` or `agent=…`")]
pub struct ParseMarkError;

impl FromStr for Mark {
    type Err = ParseMarkError;
    fn from_str(text: &str) -> Result<Self, ParseMarkError> {
        let (kind, value) = text.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or(ParseMarkError)?;
        let make = match kind {
            "account" => Self::Account,
            "orchestrator" => Self::Orchestrator,
            "grant" => Self::Grant,
            "agent" => Self::Agent,
            _ => return Err(ParseMarkError),
        };
        Ok(make(value.to_owned()))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.kind(), self.value())
    }
}

/// One suspension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspension {
    pub id: String,
    pub mark: Mark,
    pub why: String,
    pub created_at: Timestamp,
    pub lifted_at: Option<Timestamp>,
}

/// Stops what bears the mark. A mark that is stopped already stays so under its first suspension.
///
/// # Errors
/// When the store fails.
pub fn suspend(tx: &mut Tx<'_>, env: &Env, mark: &Mark, why: &str) -> Result<Suspension, DbError> {
    let mark = &known(tx, mark)?;
    if let Some(there) = suspensions(tx)?.into_iter().find(|s| s.mark == *mark && s.lifted_at.is_none()) {
        return Ok(there);
    }
    let why: String = why.chars().filter(|c| !c.is_control()).take(WHY_CHARS).collect();
    let new = Suspension { id: HexId::mint(env).as_str().to_owned(), mark: mark.clone(), why, created_at: env.now(), lifted_at: None };
    let insert = "insert into operator_suspension (id, kind, mark, why, created_at) values ($1, $2, $3, $4, $5)";
    tx.execute(insert, params![new.id, mark.kind(), mark.value(), new.why, new.created_at])?;
    Ok(new)
}

/// An account by its own id, whichever of its two ids it was called by.
///
/// # Errors
/// When the store fails.
pub fn known(tx: &mut Tx<'_>, mark: &Mark) -> Result<Mark, DbError> {
    let Mark::Account(text) = mark else { return Ok(mark.clone()) };
    let row = tx.query_opt("select id from cloud_account where id = $1 or hex = $1", params![text])?;
    row.map_or_else(|| Ok(mark.clone()), |row| Ok(Mark::Account(row.get("id")?)))
}

/// Lets what bears the mark go on. False when there is no such suspension or it is lifted already.
///
/// # Errors
/// When the store fails.
pub fn lift(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<bool, DbError> {
    let sql = "update operator_suspension set lifted_at = $2 where id = $1 and lifted_at is null";
    Ok(tx.execute(sql, params![id, now])? == 1)
}

/// All of them, the newest first; lifted ones stay on record.
///
/// # Errors
/// When the store fails.
pub fn suspensions(tx: &mut Tx<'_>) -> Result<Vec<Suspension>, DbError> {
    tx.query("select * from operator_suspension order by created_at desc, id", params![])?.iter().map(read).collect()
}

/// What an act bears.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bears<'a> {
    pub account: Option<&'a str>,
    pub orchestrator: Option<&'a str>,
    /// The orchestrator over whose link it comes, where that is another.
    pub over: Option<&'a str>,
    pub grant: Option<&'a str>,
    pub agent: Option<&'a str>,
}

/// Whether any mark that it bears is stopped.
///
/// # Errors
/// When the store fails.
pub fn is_suspended(tx: &mut Tx<'_>, bears: Bears<'_>) -> Result<bool, DbError> {
    let sql = "select 1 as one from operator_suspension where lifted_at is null and (
        (kind = 'account' and mark = $1) or (kind = 'orchestrator' and (mark = $2 or mark = $3)) or (kind = 'grant' and mark = $4)
        or (kind = 'agent' and mark = $5))";
    Ok(!tx.query(sql, params![bears.account, bears.orchestrator, bears.over, bears.grant, bears.agent])?.is_empty())
}

/// What a call of an orchestrator comes under, and what it orders for whom.
#[derive(Clone, Copy, Debug)]
pub struct Calling<'a> {
    pub account: &'a CloudAccountId,
    /// Over which link; its orchestrator may be another than the one that opened the account.
    pub link: Option<&'a CloudLinkId>,
    pub grant: Option<&'a str>,
    pub agent: Option<&'a str>,
}

/// Whether a call's marks are stopped: those of the account, of who opened it, of the orchestrator that calls, and of what it orders.
///
/// # Errors
/// When the store fails.
pub fn call_is_suspended(tx: &mut Tx<'_>, call: Calling<'_>) -> Result<bool, DbError> {
    let select = "select a.issuer, l.issuer as over from cloud_account a left join cloud_link l on l.id = $2 where a.id = $1";
    let row = tx.query_one(select, params![call.account, call.link])?;
    let (issuer, over): (String, Option<String>) = (row.get("issuer")?, row.get("over")?);
    let bears = Bears {
        account: Some(call.account.as_str()),
        orchestrator: Some(&issuer),
        over: over.as_deref(),
        grant: call.grant,
        agent: call.agent,
    };
    is_suspended(tx, bears)
}

/// The orchestrator that calls over a link; without one, that which opened the account.
///
/// # Errors
/// When the store fails, or there is no such account.
pub fn orchestrator_of(tx: &mut Tx<'_>, account: &CloudAccountId, link: Option<&CloudLinkId>) -> Result<String, DbError> {
    let select = "select coalesce(l.issuer, a.issuer) as issuer from cloud_account a left join cloud_link l on l.id = $2 where a.id = $1";
    tx.query_one(select, params![account, link])?.get("issuer")
}

/// The orchestrator over whose link a token was delivered; without a link, that which opened its account.
///
/// # Errors
/// When the store fails, or there is no such token.
pub fn token_orchestrator(tx: &mut Tx<'_>, token: &str) -> Result<String, DbError> {
    let select = "select coalesce(l.issuer, a.issuer) as issuer from api_token t join cloud_account a on a.id = t.account
        left join cloud_link l on l.id = t.link where t.id = $1";
    tx.query_one(select, params![token])?.get("issuer")
}

/// Whether a token's marks are stopped: those of its account, its link, and of the order that it was minted for.
///
/// # Errors
/// When the store fails.
pub fn token_is_suspended(tx: &mut Tx<'_>, token: &str) -> Result<bool, DbError> {
    let select = "select t.account, t.agent, a.issuer, l.issuer as over, r.agent_grant from api_token t
        join cloud_account a on a.id = t.account left join cloud_link l on l.id = t.link left join cloud_resource r on r.id = t.resource
        where t.id = $1";
    let Some(row) = tx.query_opt(select, params![token])? else { return Ok(false) };
    let (account, issuer): (String, String) = (row.get("account")?, row.get("issuer")?);
    let (over, grant, agent): (Option<String>, Option<String>, Option<String>) =
        (row.get("over")?, row.get("agent_grant")?, row.get("agent")?);
    let bears = Bears {
        account: Some(&account),
        orchestrator: Some(&issuer),
        over: over.as_deref(),
        grant: grant.as_deref(),
        agent: agent.as_deref(),
    };
    is_suspended(tx, bears)
}

/// Whether an account as a whole is stopped, its sites included.
///
/// # Errors
/// When the store fails.
pub fn account_is_suspended(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<bool, DbError> {
    let Some(row) = tx.query_opt("select issuer from cloud_account where id = $1", params![account])? else { return Ok(false) };
    let issuer: String = row.get("issuer")?;
    is_suspended(tx, Bears { account: Some(account.as_str()), orchestrator: Some(&issuer), ..Bears::default() })
}

/// The accounts that a mark concerns: those whose sites follow it.
///
/// # Errors
/// When the store fails.
pub fn accounts_of(tx: &mut Tx<'_>, mark: &Mark) -> Result<Vec<CloudAccountId>, DbError> {
    let sql = match mark {
        Mark::Account(_) => "select id from cloud_account where id = $1 or hex = $1",
        Mark::Orchestrator(_) => "select id from cloud_account where issuer = $1 order by id",
        Mark::Grant(_) => "select distinct account as id from cloud_resource where agent_grant = $1 order by account",
        Mark::Agent(_) => "select distinct account as id from cloud_resource where agent = $1 order by account",
    };
    tx.query(sql, params![mark.value()])?.iter().map(|row| row.parse("id")).collect()
}

/// Something that bears a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// `account`, `token`, `domain`, `workers`…
    pub what: String,
    pub id: String,
    pub account: String,
    pub orchestrator: String,
    pub grant: Option<String>,
    pub agent: Option<String>,
    pub created_at: Timestamp,
}

/// Everything that bears a mark: accounts, what was ordered in them (domains among it), and tokens. Deployments name the order under
/// which they were made.
///
/// # Errors
/// When the store fails.
pub fn marked(tx: &mut Tx<'_>, mark: &Mark) -> Result<Vec<Marked>, DbError> {
    let mut found = Vec::new();
    for select in [MARKED_ACCOUNTS, MARKED_ORDERS, MARKED_TOKENS] {
        let rows = tx.query(select, params![mark.kind(), mark.value()])?;
        for row in &rows {
            found.push(read_marked(row)?);
        }
    }
    Ok(found)
}

const MARKED_ACCOUNTS: &str = "select 'account' as what, a.id, a.id as account, a.issuer, null as agent_grant, null as agent, a.created_at
    from cloud_account a
    where ($1 = 'account' and (a.id = $2 or a.hex = $2)) or ($1 = 'orchestrator' and a.issuer = $2)
        or ($1 = 'grant' and a.id in (select account from cloud_resource where agent_grant = $2))
        or ($1 = 'agent' and a.id in (select account from cloud_resource where agent = $2))
    order by a.created_at, a.id";
const MARKED_ORDERS: &str = "select r.service as what, r.id, r.account, coalesce(l.issuer, a.issuer) as issuer, r.agent_grant, r.agent,
        r.created_at
    from cloud_resource r join cloud_account a on a.id = r.account left join cloud_link l on l.id = r.link
    where ($1 = 'account' and (a.id = $2 or a.hex = $2)) or ($1 = 'orchestrator' and (a.issuer = $2 or l.issuer = $2))
        or ($1 = 'grant' and r.agent_grant = $2) or ($1 = 'agent' and r.agent = $2)
    order by r.created_at, r.id";
const MARKED_TOKENS: &str =
    "select 'token' as what, t.id, t.account, coalesce(l.issuer, a.issuer) as issuer, r.agent_grant, t.agent, t.created_at
    from api_token t join cloud_account a on a.id = t.account left join cloud_link l on l.id = t.link
    left join cloud_resource r on r.id = t.resource
    where ($1 = 'account' and (a.id = $2 or a.hex = $2)) or ($1 = 'orchestrator' and (a.issuer = $2 or l.issuer = $2))
        or ($1 = 'grant' and r.agent_grant = $2) or ($1 = 'agent' and t.agent = $2)
    order by t.created_at, t.id";

fn read_marked(row: &Row) -> Result<Marked, DbError> {
    Ok(Marked {
        what: row.get("what")?,
        id: row.get("id")?,
        account: row.get("account")?,
        orchestrator: row.get("issuer")?,
        grant: row.get("agent_grant")?,
        agent: row.get("agent")?,
        created_at: row.get("created_at")?,
    })
}

fn read(row: &Row) -> Result<Suspension, DbError> {
    let (kind, mark): (String, String) = (row.get("kind")?, row.get("mark")?);
    let mark = format!("{kind}={mark}").parse().map_err(|_| DbError::Corrupt(format!("`{kind}` is no kind of mark")))?;
    Ok(Suspension { id: row.get("id")?, mark, why: row.get("why")?, created_at: row.get("created_at")?, lifted_at: row.get("lifted_at")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Owner;
    use crate::account::open::{AccountOpenError, AccountOpened, AccountOpening, account_open};
    use crate::link::scope::Scopes;
    use crate::realm::testing::realm;
    use crate::store::MIGRATIONS;
    use crate::token::Permissions;
    use crate::token::mint::{TokenOrder, token_mint};
    use crate::token::verify::{Presented, token_verify};
    use purser_db::testing::{START, each_engine};
    use purser_values::id::CloudResourceId;

    fn opening(issuer: &str, email: &str) -> AccountOpening {
        AccountOpening {
            owner: Owner { issuer: issuer.into(), subject: email.into(), attested: true },
            email: email.parse().unwrap(),
            organisation: "A".into(),
            scopes: Scopes::ALL,
            request: None,
        }
    }

    #[tokio::test]
    async fn whatever_bears_a_stopped_mark_stops_and_goes_on_when_it_is_lifted() {
        each_engine(&[purser_db::MIGRATIONS, MIGRATIONS], |db| async move {
            let (env, _) = Env::test(START, 5);
            db.write(move |tx| -> Result<(), DbError> {
                let open =
                    |tx: &mut Tx<'_>, issuer: &str, email: &str| match account_open(tx, &realm(&env), &opening(issuer, email)).unwrap() {
                        AccountOpened::Account(opened) => opened.account,
                        AccountOpened::OwnerMustAgree => panic!("no account"),
                    };
                let (one, two) = (open(tx, "https://one.test", "a@b.test"), open(tx, "https://two.test", "c@d.test"));
                let agent = "agt_1".parse().unwrap();
                let resource = CloudResourceId::mint(&env);
                tx.execute(
                    "insert into cloud_resource (id, account, service, agent, agent_grant, configuration, state, created_at, changed_at)
                     values ($1, $2, 'workers', 'agt_1', 'grt_1', $3, 'complete', 1, 1)",
                    params![resource, one.id, serde_json::json!({})],
                )?;
                let order =
                    TokenOrder { account: &one.id, link: None, agent: Some(&agent), resource: &resource, permissions: Permissions::ALL };
                let token = token_mint(tx, &env, &order)?;
                let order = TokenOrder { account: &two.id, agent: None, ..order };
                let neighbour = token_mint(tx, &env, &TokenOrder { resource: &CloudResourceId::mint(&env), ..order })?;
                let valid = |tx: &mut Tx<'_>, t: &str| matches!(token_verify(tx, t, START).unwrap(), Presented::Valid { .. });
                for mark in ["grant=grt_1", "agent=agt_1", "orchestrator=https://one.test", &format!("account={}", one.id)] {
                    let mark: Mark = mark.parse().unwrap();
                    let found = marked(tx, &mark)?;
                    for what in ["account", "workers", "token"] {
                        assert!(found.iter().any(|m| m.what == what && m.account == one.id.as_str()), "{mark}: no {what} in {found:?}");
                    }
                    assert!(!found.iter().any(|m| m.account == two.id.as_str()), "{mark}: a neighbour in {found:?}");
                    let stop = suspend(tx, &env, &mark, "phishing")?;
                    assert_eq!(suspend(tx, &env, &mark, "again")?, stop, "twice is once");
                    assert!(!valid(tx, token.expose()) && valid(tx, neighbour.expose()), "{mark}");
                    let whole = matches!(mark, Mark::Account(_) | Mark::Orchestrator(_));
                    assert_eq!((account_is_suspended(tx, &one.id)?, account_is_suspended(tx, &two.id)?), (whole, false), "{mark}");
                    assert!(lift(tx, &stop.id, env.now())? && !lift(tx, &stop.id, env.now())?);
                    assert!(valid(tx, token.expose()), "{mark} was lifted");
                }
                suspend(tx, &env, &"orchestrator=https://one.test".parse().unwrap(), "campaign")?;
                let refused = account_open(tx, &realm(&env), &opening("https://one.test", "new@b.test"));
                assert!(matches!(refused, Err(AccountOpenError::Suspended)), "{refused:?}");
                assert!("person=ada".parse::<Mark>().is_err() && "agent=".parse::<Mark>().is_err());
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
