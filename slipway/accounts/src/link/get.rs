//! Looking links up.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::id::{CloudAccountId, CloudLinkId, CloudPersonId};

use super::{Link, read};
use crate::account::{self, Account, Owner};
use crate::limits::LINK_USED_STEP_S;
use crate::resource::{self, Resource};

/// A link as its account's owner sees it.
#[derive(Clone, Debug)]
pub struct Connection {
    pub link: Link,
    pub account: Account,
    /// The agents that hold API tokens that were delivered over it.
    pub agents: Vec<String>,
    pub resources: Vec<Resource>,
}

/// The active link of a subject.
///
/// # Errors
/// When the store fails.
pub fn link_of(tx: &mut Tx<'_>, owner: &Owner) -> Result<Option<Link>, DbError> {
    let select = "select * from cloud_link where issuer = $1 and subject = $2 and attested = $3 and state = 'active'";
    tx.query_opt(select, params![owner.issuer, owner.subject, owner.attested])?.map(|row| read(&row)).transpose()
}

/// Whether the subject ever had a link.
pub(crate) fn was_linked(tx: &mut Tx<'_>, owner: &Owner) -> Result<bool, DbError> {
    let select = "select 1 as one from cloud_link where issuer = $1 and subject = $2 and attested = $3 limit 1";
    Ok(tx.query_opt(select, params![owner.issuer, owner.subject, owner.attested])?.is_some())
}

/// Whether orders may be taken over it at this moment.
///
/// # Errors
/// When the store fails.
pub fn link_is_active(tx: &mut Tx<'_>, id: &CloudLinkId, account: &CloudAccountId) -> Result<bool, DbError> {
    let select = "select 1 as one from cloud_link where id = $1 and account = $2 and state = 'active'";
    Ok(tx.query_opt(select, params![id, account])?.is_some())
}

/// Every link of the accounts that a person owns, living ones first.
///
/// # Errors
/// When the store fails.
pub fn connection_list(tx: &mut Tx<'_>, person: &CloudPersonId) -> Result<Vec<Connection>, DbError> {
    let select = "select l.* from cloud_link l join cloud_membership m on m.account = l.account
                  where m.person = $1 and m.role = 'owner' and l.state <> 'agreed' order by l.state, l.created_at desc, l.id limit 200";
    let links: Vec<Link> = tx.query(select, params![person])?.iter().map(read).collect::<Result<_, _>>()?;
    links.into_iter().map(|link| connection(tx, link)).collect()
}

pub(crate) fn connection(tx: &mut Tx<'_>, link: Link) -> Result<Connection, DbError> {
    let account = account::get::account_get(tx, &link.account)?.ok_or(DbError::NoRow)?;
    let agents = "select distinct agent from api_token where link = $1 and agent is not null order by agent limit 50";
    let agents = tx.query(agents, params![link.id])?.iter().map(|row| row.get("agent")).collect::<Result<_, _>>()?;
    let resources = "select * from cloud_resource where account = $1 and link = $2 and state in ('pending', 'complete') order by id";
    let resources = tx.query(resources, params![link.account, link.id])?.iter().map(resource::read).collect::<Result<_, _>>()?;
    Ok(Connection { link, account, agents, resources })
}

/// Whether the last use that is written down is too old to be left.
#[must_use]
pub fn use_is_stale(used_at: Option<Timestamp>, now: Timestamp) -> bool {
    used_at.is_none_or(|at| now >= at.plus_secs(LINK_USED_STEP_S))
}

/// Writes down that it was used.
///
/// # Errors
/// When the store fails.
pub fn link_used(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<(), DbError> {
    tx.execute("update cloud_link set used_at = $2 where id = $1 and (used_at is null or used_at < $2)", params![id, now]).map(drop)
}
