//! Resources that end with the period that is paid, and the log of money that was asked back.

use purser_authority::Caller;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{AgentId, OrganisationId, PersonId, RefundRequestId, ResourceId};
use purser_values::name::ProviderName;
use purser_values::{Money, Timestamp};
use serde::Serialize;

pub const TABLES: &str = "create table resource_ending (
    resource {text} primary key, organisation {text} not null, ends_at {int} not null, asked_at {int} not null
){strict};
create table refund_request (
    id {text} primary key, organisation {text} not null, resource {text} not null, provider {text} not null, agent {text}, person {text},
    reason {text} not null, state {text} not null, amount_minor {int}, currency {text}, deadline {int}, code {text},
    asked_at {int} not null, answered_at {int}
){strict};
create index refund_request_organisation on refund_request (organisation, asked_at)";

/// Most requests that are told at once; the newest.
const SHOWN: i64 = 500;

/// It ends then.
pub fn end(
    tx: &mut Tx<'_>,
    resource: &ResourceId,
    organisation: &OrganisationId,
    ends_at: Timestamp,
    now: Timestamp,
) -> Result<(), DbError> {
    let upsert = "insert into resource_ending (resource, organisation, ends_at, asked_at) values ($1, $2, $3, $4)
                  on conflict (resource) do update set ends_at = $3, asked_at = $4";
    tx.execute(upsert, params![resource, organisation, ends_at, now]).map(drop)
}

/// It does not end any more, or has ended.
pub fn forget(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<(), DbError> {
    tx.execute("delete from resource_ending where resource = $1", params![resource]).map(drop)
}

/// When it ends, if it is to.
pub fn ends_at(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<Option<Timestamp>, DbError> {
    tx.query_opt("select ends_at from resource_ending where resource = $1", params![resource])?.map(|row| row.get("ends_at")).transpose()
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    /// The provider is being asked.
    Asked,
    Refunded,
    NotRefundable,
    /// The provider does not take such a request.
    Failed,
}

impl RequestState {
    const ALL: [Self; 4] = [Self::Asked, Self::Refunded, Self::NotRefundable, Self::Failed];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Refunded => "refunded",
            Self::NotRefundable => "not_refundable",
            Self::Failed => "failed",
        }
    }
}

/// Money that somebody asked back, and the answer.
#[derive(Clone, Debug, Serialize)]
pub struct RefundRequest {
    pub id: RefundRequestId,
    pub resource: ResourceId,
    pub provider: ProviderName,
    /// Who asked: an agent for a person, or the person.
    pub agent: Option<AgentId>,
    pub person: Option<PersonId>,
    pub reason: String,
    pub state: RequestState,
    /// How much comes back.
    pub amount: Option<Money>,
    /// Until when something could be had back, as the provider says.
    pub deadline: Option<Timestamp>,
    /// Why the provider did not take the request.
    pub code: Option<String>,
    pub asked_at: Timestamp,
    pub answered_at: Option<Timestamp>,
}

/// Writes the request down, before the provider is asked.
pub fn ask(
    tx: &mut Tx<'_>,
    id: &RefundRequestId,
    organisation: &OrganisationId,
    (resource, provider): (&ResourceId, &ProviderName),
    caller: &Caller,
    reason: &str,
    now: Timestamp,
) -> Result<(), DbError> {
    let insert = "insert into refund_request (id, organisation, resource, provider, agent, person, reason, state, asked_at)
                  values ($1, $2, $3, $4, $5, $6, $7, 'asked', $8)";
    tx.execute(insert, params![id, organisation, resource, provider, caller.agent(), caller.person(), reason, now]).map(drop)
}

/// The answer; the first one stands.
pub fn answer(
    tx: &mut Tx<'_>,
    id: &RefundRequestId,
    state: RequestState,
    amount: Option<Money>,
    deadline: Option<Timestamp>,
    code: Option<&str>,
    now: Timestamp,
) -> Result<bool, DbError> {
    let update = "update refund_request set state = $2, amount_minor = $3, currency = $4, deadline = $5, code = $6, answered_at = $7
                  where id = $1 and state = 'asked'";
    let (minor, currency) = amount.map(|m| (m.minor(), m.currency())).unzip();
    Ok(tx.execute(update, params![id, state.name(), minor, currency, deadline, code, now])? == 1)
}

/// The organisation's requests, or those about what an agent bought for it; the newest first.
pub fn requests(tx: &mut Tx<'_>, organisation: &OrganisationId, agent: Option<&AgentId>) -> Result<Vec<RefundRequest>, DbError> {
    let select = "select q.* from refund_request q join resource r on r.id = q.resource
                  where q.organisation = $1 and ($2 = '' or r.agent = $2 or q.agent = $2) order by q.asked_at desc, q.id desc limit $3";
    let agent = agent.map_or("", AgentId::as_str);
    tx.query(select, params![organisation, agent, SHOWN])?.iter().map(read).collect()
}

fn read(row: &Row) -> Result<RefundRequest, DbError> {
    let amount = match (row.get::<Option<i64>>("amount_minor")?, row.parse_opt("currency")?) {
        (Some(minor), Some(currency)) => Some(Money::from_minor(minor, currency)),
        _ => None,
    };
    let state: String = row.get("state")?;
    Ok(RefundRequest {
        id: row.parse("id")?,
        resource: row.parse("resource")?,
        provider: row.parse("provider")?,
        agent: row.parse_opt("agent")?,
        person: row.parse_opt("person")?,
        reason: row.get("reason")?,
        state: RequestState::ALL
            .into_iter()
            .find(|known| known.name() == state)
            .ok_or_else(|| DbError::Corrupt(format!("`{state}` is no state of a request")))?,
        amount,
        deadline: row.get("deadline")?,
        code: row.get("code")?,
        asked_at: row.get("asked_at")?,
        answered_at: row.get("answered_at")?,
    })
}
