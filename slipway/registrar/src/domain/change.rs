//! `domain_change`: what is changed at the registry after a name was bought. Its lock, its name servers, its DS records, whether it is
//! in the world at all, and that it is given back or handed over.
//!
//! The wish is recorded, then the registry is asked, then the outcome is recorded. Every wish says what is to be, not what is to be done,
//! so asking twice is asking once, and whoever finds an open wish after a crash asks again. A newer wish of the same kind ends an older
//! one; an older one whose question was under way meanwhile is followed by the newest, so that what was wished last is what is.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{CloudAccountId, DomainId};
use purser_values::name::{DomainName, HostName};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::delete::give_back;
use super::get::domain_get;
use super::{Domain, Ending, State};
use crate::registrar::Registrar;
use crate::registry::{Ds, RegistryError};
use crate::store;

/// The most open wishes that one run takes up.
const BATCH: u32 = 100;
/// How often a wish is followed by a newer one before the next run goes on.
const FOLLOWED: u32 = 8;

/// What is wished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Whether transfers to other registrars are refused.
    Lock(bool),
    NameServers(Vec<HostName>),
    Ds(Vec<Ds>),
    /// Taken out of the world because it has run out, or put back.
    Hold(bool),
    /// Given back in its first days ([`super::delete`]).
    Delete,
    /// Whether another registrar that asks for it gets it.
    HandOver(bool),
}

impl Change {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Lock(_) => "lock",
            Self::NameServers(_) => "name_servers",
            Self::Ds(_) => "ds",
            Self::Hold(_) => "hold",
            Self::Delete => "delete",
            Self::HandOver(_) => "hand_over",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no such domain in this account")]
    NotFound,
    #[error("the domain's registration is not finished")]
    Pending,
    #[error("the registry refuses the change: {0}")]
    Refused(String),
    #[error("the caller was stopped")]
    Stopped,
    /// The wish is kept and asked for again.
    #[error("the registry gives no answer: {0}")]
    Unavailable(String),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for ChangeError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "domain_not_found",
            Self::Pending => "domain_pending",
            Self::Refused(_) => "domain_change_refused",
            Self::Stopped => "credentials_disabled",
            Self::Unavailable(_) => "registry_unavailable",
            Self::Store(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound => Kind::NotFound,
            Self::Pending => Kind::Conflict,
            Self::Refused(_) => Kind::Invalid,
            Self::Stopped => Kind::Forbidden,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Store(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound | Self::Stopped => None,
            Self::Pending => Some("repeat the request that registers it first".to_owned()),
            Self::Refused(_) => Some("the registry's words say what has to be different".to_owned()),
            Self::Unavailable(_) => Some("nothing has to be repeated: the registry is asked again".to_owned()),
            Self::Store(e) => e.hint(),
        }
    }
}

/// A recorded wish.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    id: i64,
    domain: DomainId,
    name: DomainName,
    change: Change,
}

/// # Errors
/// When the account has no such domain, the registry refuses, or it gives no answer; then the wish stays and is asked for again.
pub async fn domain_change(registrar: &Registrar, account: &CloudAccountId, name: &DomainName, change: Change) -> Result<(), ChangeError> {
    domain_change_while(registrar, account, name, change, |_| Ok(true)).await
}

/// The same for a caller who may be stopped meanwhile: whether it stands is asked in the write that records the wish.
///
/// # Errors
/// As [`domain_change`]; [`ChangeError::Stopped`] when it does not stand any more.
pub async fn domain_change_while(
    registrar: &Registrar,
    account: &CloudAccountId,
    name: &DomainName,
    change: Change,
    stands: impl Fn(&mut Tx<'_>) -> Result<bool, DbError> + Send + 'static,
) -> Result<(), ChangeError> {
    let (account, name, now) = (account.clone(), name.clone(), registrar.env.now());
    let wish =
        registrar.db.write(move |tx| if stands(tx)? { record(tx, &account, &name, &change, now) } else { Err(ChangeError::Stopped) });
    let wish = wish.await?;
    carry_out(registrar, wish).await
}

/// Asks again for every wish without an outcome; run on start and now and then.
///
/// # Errors
/// When the store fails; a registry without an answer is logged and asked by the next run.
pub async fn change_resume(registrar: &Registrar) -> Result<(), DbError> {
    let open = registrar.db.read(|tx| -> Result<Vec<Wish>, DbError> {
        let select = "select c.id, c.domain, c.body, d.name from domain_change c join domain d on d.id = c.domain
                      where c.state = 'open' order by c.id limit $1";
        tx.query(select, params![BATCH])?.iter().map(read).collect()
    });
    for wish in open.await? {
        let domain = wish.domain.clone();
        match carry_out(registrar, wish).await {
            Ok(()) => {}
            Err(ChangeError::Store(e)) => return Err(e),
            Err(e) => tracing::warn!(%domain, error = %e, "a change of a domain is not carried out"),
        }
    }
    Ok(())
}

fn record(tx: &mut Tx<'_>, account: &CloudAccountId, name: &DomainName, change: &Change, now: Timestamp) -> Result<Wish, ChangeError> {
    let domain = domain_get(tx, account, name)?.ok_or(ChangeError::NotFound)?;
    match domain.state {
        State::Registered { .. } => {}
        State::Pending => return Err(ChangeError::Pending),
        State::Detached { .. } | State::Refused(_) | State::Ended { .. } => return Err(ChangeError::NotFound),
    }
    Ok(wish(tx, &domain, change, now)?)
}

/// Records a wish in the write that it follows from; whoever resumes carries it out.
pub(crate) fn wish(tx: &mut Tx<'_>, domain: &Domain, change: &Change, now: Timestamp) -> Result<Wish, DbError> {
    tx.execute(
        "update domain_change set state = 'superseded', settled_at = $3 where domain = $1 and kind = $2 and state = 'open'",
        params![domain.id, change.kind(), now],
    )?;
    let row = tx.query_one(
        "insert into domain_change (id, domain, kind, body, state, created_at)
         values ((select coalesce(max(id), 0) + 1 from domain_change), $1, $2, $3, 'open', $4) returning id",
        params![domain.id, change.kind(), json!(change), now],
    )?;
    Ok(Wish { id: row.get("id")?, domain: domain.id.clone(), name: domain.name.clone(), change: change.clone() })
}

/// Whether a name was to be given back, whatever came of it so far.
pub(crate) fn is_given_back(tx: &mut Tx<'_>, domain: &DomainId) -> Result<bool, DbError> {
    let select = "select id from domain_change where domain = $1 and kind = 'delete' and state in ('open', 'done') limit 1";
    Ok(tx.query_opt(select, params![domain])?.is_some())
}

async fn carry_out(registrar: &Registrar, mut wish: Wish) -> Result<(), ChangeError> {
    for _ in 0..FOLLOWED {
        let asked = match &wish.change {
            Change::Lock(locked) => registrar.registry.set_lock(&wish.name, *locked).await,
            Change::NameServers(hosts) => registrar.registry.set_name_servers(&wish.name, hosts).await,
            Change::Ds(ds) => registrar.registry.set_ds(&wish.name, ds).await,
            Change::Hold(held) => registrar.registry.set_hold(&wish.name, *held).await,
            Change::Delete => give_back(registrar, &wish.name).await,
            Change::HandOver(agreed) => registrar.registry.answer_transfer(&wish.name, *agreed).await,
        };
        let outcome = match asked {
            Ok(()) => Ok(()),
            Err(RegistryError::Transient(why)) => return Err(ChangeError::Unavailable(why)),
            Err(e) => Err(e.to_string()),
        };
        let (of, now, said) = (wish.clone(), registrar.env.now(), outcome.clone());
        let newer = registrar.db.write(move |tx| settle(tx, &of, said.as_ref().err(), now)).await?;
        match newer {
            None => return outcome.map_err(ChangeError::Refused),
            Some(newest) => wish = newest,
        }
    }
    Err(ChangeError::Unavailable("other changes of the same kind follow one another".to_owned()))
}

/// Records an outcome, and tells the newest wish of the kind when this one was not it any more.
fn settle(tx: &mut Tx<'_>, wish: &Wish, refused: Option<&String>, now: Timestamp) -> Result<Option<Wish>, DbError> {
    let state = if refused.is_some() { "refused" } else { "done" };
    let update = "update domain_change set state = $2, why = $3, settled_at = $4 where id = $1 and state = 'open'";
    if tx.execute(update, params![wish.id, state, refused, now])? == 1 {
        match (&wish.change, refused) {
            (Change::Delete, None) => store::end(tx, &wish.domain, Ending::Deleted)?,
            // Whose it is now, the registry says.
            (Change::HandOver(_), None) => store::look_at(tx, &wish.domain, now)?,
            _ => {}
        }
        return Ok(None);
    }
    let newest = tx.query_opt(
        "select c.id, c.domain, c.body, d.name from domain_change c join domain d on d.id = c.domain
         where c.domain = $1 and c.kind = $2 and c.state <> 'refused' order by c.id desc limit 1",
        params![wish.domain, wish.change.kind()],
    )?;
    let newest = newest.map(|row| read(&row)).transpose()?.filter(|newest| newest.id > wish.id);
    if let Some(newest) = &newest {
        // It may have been carried out before ours arrived at the registry, so it is to be asked for again.
        tx.execute("update domain_change set state = 'open' where id = $1", params![newest.id])?;
    }
    Ok(newest)
}

fn read(row: &Row) -> Result<Wish, DbError> {
    Ok(Wish { id: row.get("id")?, domain: row.parse("domain")?, name: row.parse("name")?, change: row.json("body")? })
}

/// Whether a name is locked against transfers, as it was last wished and not refused.
///
/// # Errors
/// When the store fails.
pub fn locked(tx: &mut Tx<'_>, domain: &DomainId) -> Result<bool, DbError> {
    let select =
        "select body from domain_change where domain = $1 and kind = 'lock' and state in ('open', 'done') order by id desc limit 1";
    let last = tx.query_opt(select, params![domain])?.map(|row| row.json::<Change>("body")).transpose()?;
    Ok(last == Some(Change::Lock(true)))
}

/// The table of wishes; [`crate::store`] makes it.
pub(crate) const TABLE: &str = "create table domain_change (
        id {int} primary key,
        domain {text} not null,
        kind {text} not null,
        body {text} not null,
        state {text} not null,
        why {text},
        created_at {int} not null,
        settled_at {int}
    ){strict};
    create index domain_change_open on domain_change (id) where state = 'open';
    create index domain_change_domain on domain_change (domain, kind, id);";
