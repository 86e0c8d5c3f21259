//! The table of domains.

use purser_db::{DbError, Migrations, Row, Tx, params};
use purser_values::error::PublicError as _;
use purser_values::id::{CloudAccountId, CloudResourceId, DomainId};
use purser_values::name::DomainName;
use purser_values::{Money, Timestamp};

use crate::domain::look::first;
use crate::domain::{Domain, Ending, Paid, Refusal, State};

/// The registrar's tables.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "registrar",
    steps: &[
        "create table domain (
        id {text} primary key,
        account {text} not null,
        request {text} not null unique,
        name {text} not null,
        years {int} not null,
        price_minor {int} not null,
        currency {text} not null,
        auto_renew {int} not null,
        state {text} not null,
        refusal {text},
        created_at {int} not null,
        registered_at {int},
        expires_at {int}
    ){strict};
    create unique index domain_live on domain (name) where state <> 'refused';
    create index domain_account on domain (account, name);
    create index domain_pending on domain (created_at) where state = 'pending';",
        GIVEN_BACK,
        crate::domain::change::TABLE,
        crate::rehearsal::TABLE,
        LIFE,
        crate::contact::TABLE,
        SPECIAL,
    ],
};

/// Whether a detached domain's price was given back to its account.
const GIVEN_BACK: &str = "alter table domain add column given_back {int} not null default 0";

/// Whether a name was bought at a special price.
const SPECIAL: &str = "alter table domain add column special {int} not null default 0";

/// How registrations go on and end. `look_at` is when the registry is next asked for the name.
const LIFE: &str = "drop index domain_live;
    create unique index domain_live on domain (name) where state not in ('refused', 'ended');
    alter table domain add column ending {text};
    alter table domain add column phase {text} not null default 'live';
    alter table domain add column look_at {int};
    update domain set look_at = expires_at where state in ('registered', 'detached');
    create index domain_look on domain (look_at) where look_at is not null;
    create index domain_ending on domain (id) where state = 'ending';
    create table domain_news (
        id {int} primary key,
        domain {text} not null,
        kind {text} not null,
        created_at {int} not null,
        told {int} not null
    ){strict};
    create index domain_news_open on domain_news (id) where told = 0;
    create table registry_message (
        id {text} primary key,
        text {text} not null,
        received_at {int} not null
    ){strict};
    create index registry_message_age on registry_message (received_at);";

/// INVARIANT (one-holder): of all rows that are neither refused nor over, at most one bears a name; the index holds it.
pub(crate) fn insert(tx: &mut Tx<'_>, d: &Domain) -> Result<(), DbError> {
    tx.execute(
        "insert into domain (id, account, request, name, years, price_minor, currency, auto_renew, state, created_at, special)
         values ($1, $2, $3, $4, $5, $6, $7, 0, 'pending', $8, $9)",
        params![d.id, d.account, d.request, d.name, d.years, d.price.minor(), d.price.currency(), d.created_at, d.special],
    )
    .map(drop)
}

pub(crate) fn by_id(tx: &mut Tx<'_>, id: &DomainId) -> Result<Option<Domain>, DbError> {
    tx.query_opt("select * from domain where id = $1", params![id])?.map(|row| read(&row)).transpose()
}

pub(crate) fn by_request(tx: &mut Tx<'_>, request: &CloudResourceId) -> Result<Option<Domain>, DbError> {
    tx.query_opt("select * from domain where request = $1", params![request])?.map(|row| read(&row)).transpose()
}

pub(crate) fn live_by_name(tx: &mut Tx<'_>, name: &DomainName) -> Result<Option<Domain>, DbError> {
    tx.query_opt("select * from domain where name = $1 and state not in ('refused', 'ended')", params![name])?
        .map(|row| read(&row))
        .transpose()
}

pub(crate) fn live_of_account(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Domain>, DbError> {
    let rows = tx.query("select * from domain where account = $1 and state not in ('refused', 'ended') order by name", params![account])?;
    rows.iter().map(read).collect()
}

pub(crate) fn refused(tx: &mut Tx<'_>, account: &CloudAccountId, name: &DomainName) -> Result<Option<Domain>, DbError> {
    let select = "select * from domain where account = $1 and name = $2 and state = 'refused' order by created_at desc limit 1";
    tx.query_opt(select, params![account, name])?.map(|row| read(&row)).transpose()
}

pub(crate) fn pending(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<Domain>, DbError> {
    let rows = tx.query("select * from domain where state = 'pending' order by created_at limit $1", params![limit])?;
    rows.iter().map(read).collect()
}

/// Records an outcome. The first one stays, so that two tries of one request agree.
pub(crate) fn settle(tx: &mut Tx<'_>, id: &DomainId, outcome: &State) -> Result<Domain, DbError> {
    let domain = by_id(tx, id)?.ok_or(DbError::NoRow)?;
    if domain.state != State::Pending {
        return Ok(domain);
    }
    set_state(tx, id, outcome)?;
    Ok(Domain { state: outcome.clone(), ..domain })
}

pub(crate) fn set_state(tx: &mut Tx<'_>, id: &DomainId, state: &State) -> Result<(), DbError> {
    let given_back = matches!(state, State::Detached { paid: Paid::GivenBack, .. });
    let (name, refusal, dates) = match state {
        State::Pending => ("pending", None, None),
        State::Registered { registered_at, expires_at } => ("registered", None, Some((*registered_at, *expires_at))),
        State::Detached { registered_at, expires_at, .. } => ("detached", None, Some((*registered_at, *expires_at))),
        State::Refused(refusal) => ("refused", Some(refusal.code()), None),
        State::Ended { why, .. } => return end(tx, id, *why),
    };
    tx.execute(
        "update domain set state = $2, refusal = $3, registered_at = $4, expires_at = $5, given_back = $6, look_at = $7 where id = $1",
        params![id, name, refusal, dates.map(|d| d.0), dates.map(|d| d.1), given_back, dates.map(|d| first(d.1))],
    )
    .map(drop)
}

/// The registration is over; the caller clears away what stood on it, and says so with [`cleared`].
pub(crate) fn end(tx: &mut Tx<'_>, id: &DomainId, why: Ending) -> Result<(), DbError> {
    let update = "update domain set state = 'ending', ending = $2, look_at = null where id = $1 and state in ('registered', 'detached')";
    tx.execute(update, params![id, why.as_str()]).map(drop)
}

/// Nothing stands on it any more: the name is anybody's.
pub(crate) fn cleared(tx: &mut Tx<'_>, id: &DomainId) -> Result<bool, DbError> {
    Ok(tx.execute("update domain set state = 'ended' where id = $1 and state = 'ending'", params![id])? == 1)
}

pub(crate) fn ending(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<Domain>, DbError> {
    tx.query("select * from domain where state = 'ending' order by id limit $1", params![limit])?.iter().map(read).collect()
}

/// The domains that the registry is to be asked for now.
pub(crate) fn to_look_at(tx: &mut Tx<'_>, now: Timestamp, limit: u32) -> Result<Vec<Domain>, DbError> {
    let select = "select * from domain where look_at <= $1 and state in ('registered', 'detached') order by look_at limit $2";
    tx.query(select, params![now, limit])?.iter().map(read).collect()
}

pub(crate) fn look_at(tx: &mut Tx<'_>, id: &DomainId, at: Timestamp) -> Result<(), DbError> {
    tx.execute("update domain set look_at = $2 where id = $1 and look_at is not null", params![id, at]).map(drop)
}

/// Gives a detached domain back to its account, for another request.
pub(crate) fn reattach(tx: &mut Tx<'_>, mut domain: Domain, request: &CloudResourceId) -> Result<Domain, DbError> {
    if let State::Detached { registered_at, expires_at, .. } = domain.state {
        domain.state = State::Registered { registered_at, expires_at };
        domain.request = request.clone();
        set_state(tx, &domain.id, &domain.state)?;
        tx.execute("update domain set request = $2 where id = $1", params![domain.id, request])?;
    }
    Ok(domain)
}

pub(crate) fn read(row: &Row) -> Result<Domain, DbError> {
    let state: String = row.get("state")?;
    let state = match state.as_str() {
        "pending" => State::Pending,
        "registered" => State::Registered { registered_at: row.get("registered_at")?, expires_at: row.get("expires_at")? },
        "detached" => State::Detached {
            registered_at: row.get("registered_at")?,
            expires_at: row.get("expires_at")?,
            paid: if row.get::<bool>("given_back")? { Paid::GivenBack } else { Paid::Yes },
        },
        "refused" => {
            let code: String = row.get("refusal")?;
            State::Refused(Refusal::from_code(&code).ok_or_else(|| DbError::Corrupt(format!("`{code}` is no refusal of a domain")))?)
        }
        "ending" | "ended" => {
            let code: String = row.get("ending")?;
            let why = Ending::from_code(&code).ok_or_else(|| DbError::Corrupt(format!("`{code}` is no end of a domain")))?;
            State::Ended { why, cleared: state == "ended" }
        }
        other => return Err(DbError::Corrupt(format!("`{other}` is no state of a domain"))),
    };
    Ok(Domain {
        id: row.parse("id")?,
        account: row.parse("account")?,
        request: row.parse("request")?,
        name: row.parse("name")?,
        years: row.get("years")?,
        price: Money::from_minor(row.get("price_minor")?, row.parse("currency")?),
        special: row.get("special")?,
        created_at: row.get("created_at")?,
        state,
    })
}
