//! `account_freeze` and `account_thaw`: stops everything that the account's tokens and orchestrators can do, and lets it go on.
//! Both are idempotent and lose nothing.
//!
//! INVARIANT (own-freeze): a freeze is a row of the link that it came over, and only that link lifts it, or the owner who cuts the link.
//! An account is frozen while any row is there, and dark while any row says so. What the operator stopped is no freeze
//! ([`crate::suspension`]).

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{CloudAccountId, CloudLinkId};

use super::AccountState;

/// Freezes and stops by the link that they came over. Of what was there before nobody knows whose it is (an empty link): it is anybody's to
/// lift, as it was.
pub(crate) const TABLE: &str = "create table account_freeze (
    account {text} not null, link {text} not null, dark {int} not null, frozen_at {int} not null,
    primary key (account, link)
){strict};
insert into account_freeze (account, link, dark, frozen_at)
    select id, '', case when state = 'dark' then 1 else 0 end, created_at from cloud_account where state <> 'active';
create table agent_stop_of_link (
    account {text} not null, agent {text} not null, link {text} not null, stopped_at {int} not null,
    primary key (account, agent, link)
){strict};
insert into agent_stop_of_link (account, agent, link, stopped_at) select account, agent, '', stopped_at from agent_stop;
drop table agent_stop;
alter table agent_stop_of_link rename to agent_stop;
insert into provisioning_control (account, subject, highest)
    select c.account, l.id || '/' || c.subject, c.highest from provisioning_control c join cloud_link l on l.account = c.account";

/// # Errors
/// When the store fails.
pub fn account_freeze(tx: &mut Tx<'_>, id: &CloudAccountId, by: Option<&CloudLinkId>, dark: bool, now: Timestamp) -> Result<(), DbError> {
    let upsert = "insert into account_freeze (account, link, dark, frozen_at) values ($1, $2, $3, $4)
                  on conflict (account, link) do update set dark = $3";
    tx.execute(upsert, params![id, holder(by), i64::from(dark), now])?;
    follow(tx, id).map(drop)
}

/// Lifts the link's own freeze. What the account is then: frozen, when somebody else froze it too.
///
/// # Errors
/// When the store fails.
pub fn account_thaw(tx: &mut Tx<'_>, id: &CloudAccountId, by: Option<&CloudLinkId>) -> Result<AccountState, DbError> {
    tx.execute("delete from account_freeze where account = $1 and link in ($2, '')", params![id, holder(by)])?;
    follow(tx, id)
}

/// A link that is cut holds nothing back any more: nobody could lift it.
pub(crate) fn release(tx: &mut Tx<'_>, id: &CloudAccountId, link: &CloudLinkId) -> Result<(), DbError> {
    tx.execute("delete from account_freeze where account = $1 and link = $2", params![id, link])?;
    tx.execute("delete from agent_stop where account = $1 and link = $2", params![id, link])?;
    follow(tx, id).map(drop)
}

/// How a row names who froze or stopped.
pub(crate) fn holder(by: Option<&CloudLinkId>) -> &str {
    by.map_or("", CloudLinkId::as_str)
}

/// The account's state as its rows say.
fn follow(tx: &mut Tx<'_>, id: &CloudAccountId) -> Result<AccountState, DbError> {
    let row = tx.query_one("select max(dark) as dark from account_freeze where account = $1", params![id])?;
    let state = row.get::<Option<i64>>("dark")?.map_or(AccountState::Active, |dark| AccountState::Frozen { dark: dark != 0 });
    tx.execute("update cloud_account set state = $2 where id = $1", params![id, state.as_str()])?;
    Ok(state)
}
