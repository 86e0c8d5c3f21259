//! `/spend`: what was paid in a month, by whom, to whom, for what, what came back and what is owed; the same as CSV.

mod picture;

use std::collections::HashMap;

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use purser_authority::action::{AgentRead, SpendRead};
use purser_authority::{Facts, authorise};
use purser_db::{DbError, Tx};
use purser_http::extract::Query;
use purser_identity::agent::agents_list;
use purser_identity::session::Session;
use purser_provisioning::store::ending::{self, RefundRequest, RequestState};
use purser_spend::calendar::{self, Zone};
use purser_spend::ceiling;
use purser_spend::charge::ChargeState;
use purser_spend::chargeback::Chargeback;
use purser_spend::refund::due::{Due, DueState};
use purser_spend::refund::{Refund, RefundState};
use purser_spend::report::{By, ReportRow, report};
use purser_spend::statement::{Statement, StatementError, StatementLine, Total, statement};
use purser_values::id::AgentId;
use purser_values::{Money, Month, Timestamp};
use serde::Deserialize;

use self::picture::Picture;
use super::failure::PageError;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;
use crate::statement_csv;

#[derive(Deserialize)]
pub struct Which {
    month: Option<String>,
}

#[derive(Template)]
#[template(path = "spend.html")]
pub struct Spend {
    ctx: PageContext,
    month: Month,
    /// Absent where there is none.
    before: Option<Month>,
    after: Option<Month>,
    total: String,
    pictures: Vec<Picture>,
    /// Whether there are more charges than are shown.
    more: bool,
    positions: Vec<PositionView>,
    charges: Vec<ChargeView>,
    refunds: Vec<RefundView>,
    owed: Vec<OwedView>,
    asked: Vec<AskedView>,
}

/// Money that was asked back.
struct AskedView {
    at: String,
    provider: String,
    agent: String,
    resource: String,
    reason: String,
    answer: String,
    until: String,
}

struct PositionView {
    agent: String,
    provider: String,
    captured: Money,
    held: Money,
    cap: Money,
}

struct ChargeView {
    id: String,
    at: String,
    agent: String,
    provider: String,
    project: String,
    resource: String,
    description: String,
    amount: Money,
    state: String,
    counts: bool,
    irreversible: bool,
    /// How much of it came back, if any did.
    refunded: Option<Money>,
}

struct RefundView {
    id: String,
    at: String,
    amount: Money,
    provider: String,
    agent: String,
    reason: String,
    state: String,
    counts: bool,
    charge: String,
}

struct OwedView {
    since: String,
    until: String,
    amount: Money,
    provider: String,
    agent: String,
    resource: String,
    charge: String,
    state: &'static str,
}

/// Charges on the page, the newest; a statement has all of them.
const CHARGES: usize = 500;

/// What agents call themselves, by id.
type Names = HashMap<AgentId, String>;

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn, Query(which): Query<Which>) -> Result<Page<Spend>, PageError> {
    let zone = zone(&front, &session).await?;
    let now = calendar::month_of(front.realm.env.now(), &zone).map_err(StatementError::from)?;
    let month = month(&which, now)?;
    let (mut statement, names, days) = read(&front, &session, month, &zone).await?;
    let total = total(&statement.totals);
    let organisation = session.member.organisation.id.clone();
    let asked = front.core.db.read::<_, DbError, _>(move |tx| ending::requests(tx, &organisation, None)).await?;
    let more = statement.charges.len() > CHARGES;
    statement.charges.drain(..statement.charges.len().saturating_sub(CHARGES));
    let positions = statement.positions.iter().map(|position| PositionView {
        agent: name(&names, &position.agent),
        provider: position.provider.to_string(),
        captured: position.captured,
        held: position.held,
        cap: position.cap,
    });
    Ok(Page::ok(Spend {
        month,
        before: (month.start() > Timestamp::EPOCH).then(|| month.start().plus_months(-1).month()),
        after: (month < now).then(|| month.end().month()),
        total,
        pictures: picture::pictures(month, &days),
        more,
        positions: positions.collect(),
        charges: statement.charges.iter().map(|charge| charge_view(charge, &statement.chargebacks, &names)).collect(),
        refunds: statement.refunds.iter().map(|refund| refund_view(refund, &names)).collect(),
        owed: statement.owed.iter().map(|due| owed_view(due, &names)).collect(),
        asked: asked
            .iter()
            .filter(|request| calendar::month_of(request.asked_at, &zone).is_ok_and(|at| at == month))
            .map(|request| asked_view(request, &names))
            .collect(),
        ctx: PageContext::of(&front, &session, "Spend"),
    }))
}

pub async fn csv(State(front): State<Front>, SignedIn(session): SignedIn, Query(which): Query<Which>) -> Result<Response, PageError> {
    let zone = zone(&front, &session).await?;
    let now = calendar::month_of(front.realm.env.now(), &zone).map_err(StatementError::from)?;
    let month = month(&which, now)?;
    let (statement, names, _) = read(&front, &session, month, &zone).await?;
    let mut response = statement_csv::render(&statement, |agent| name(&names, agent)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(name) = HeaderValue::from_str(&format!("attachment; filename=\"purser-{month}.csv\"")) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

fn month(which: &Which, now: Month) -> Result<Month, PageError> {
    match which.month.as_deref() {
        None | Some("") => Ok(now),
        Some(text) => text.parse().map_err(|e: purser_values::timestamp::ParseMonthError| {
            PageError::new(StatusCode::BAD_REQUEST, "month_invalid", &e.to_string())
        }),
    }
}

/// The organisation's zone.
async fn zone(front: &Front, session: &Session) -> Result<Zone, PageError> {
    let organisation = session.member.organisation.id.clone();
    Ok(front.core.db.read::<_, StatementError, _>(move |tx| Ok(ceiling::zone(tx, &organisation)?)).await?)
}

async fn read(front: &Front, session: &Session, month: Month, zone: &Zone) -> Result<(Statement, Names, Vec<ReportRow>), PageError> {
    let (caller, now) = (session.caller(), front.realm.env.now());
    let listing = authorise::<AgentRead>(&caller, &Facts::new(now, "agents"))?;
    let reading = authorise::<SpendRead>(&caller, &Facts::new(now, "spend"))?;
    let (organisation, zone) = (session.member.organisation.id.clone(), zone.clone());
    let read = move |tx: &mut Tx<'_>| -> Result<(Statement, Names, Vec<ReportRow>), StatementError> {
        let names = agents_list(tx, &listing)?.into_iter().map(|known| (known.agent.id, known.agent.name.to_string()));
        let days = report(tx, &reading, &organisation, By::Day, zone.month(month)?, &zone)?;
        Ok((statement(tx, &reading, &organisation, None, month, &zone)?, names.collect(), days))
    };
    Ok(front.core.db.read(read).await?)
}

/// What was paid, less what came back; one figure for each currency.
fn total(totals: &[Total]) -> String {
    if totals.is_empty() {
        return "nothing".to_owned();
    }
    totals.iter().map(|total| total.paid.to_string()).collect::<Vec<_>>().join(" + ")
}

fn asked_view(request: &RefundRequest, names: &Names) -> AskedView {
    let answer = match (request.state, request.amount) {
        (RequestState::Asked, _) => "the provider is being asked".to_owned(),
        (RequestState::Refunded, Some(amount)) => format!("{amount} comes back"),
        (RequestState::Refunded, None) => "comes back".to_owned(),
        (RequestState::NotRefundable, _) => "not refundable".to_owned(),
        (RequestState::Failed, _) => "the provider did not take the request".to_owned(),
    };
    AskedView {
        at: request.asked_at.for_people(),
        provider: request.provider.to_string(),
        agent: request.agent.as_ref().map_or_else(|| "a person".to_owned(), |agent| name(names, agent)),
        resource: request.resource.to_string(),
        reason: request.reason.clone(),
        answer,
        until: request.deadline.map(Timestamp::for_people).unwrap_or_default(),
    }
}

fn charge_view(charge: &StatementLine, disputes: &[Chargeback], names: &Names) -> ChargeView {
    let state = match charge.state {
        ChargeState::Begun => "under way".to_owned(),
        ChargeState::RequiresAction => "waits for you at your bank".to_owned(),
        ChargeState::Succeeded if disputes.iter().any(|dispute| dispute.charge == charge.id) => "paid, disputed".to_owned(),
        ChargeState::Succeeded => "paid".to_owned(),
        ChargeState::Declined | ChargeState::Refused => {
            format!("{}: {}", charge.state.name(), charge.code.as_deref().unwrap_or("no reason given"))
        }
    };
    ChargeView {
        id: charge.id.to_string(),
        at: charge.at.for_people(),
        agent: name(names, &charge.agent),
        provider: charge.provider.to_string(),
        project: charge.project.to_string(),
        resource: charge.resource.to_string(),
        description: charge.description.clone(),
        amount: charge.amount,
        state,
        counts: charge.state == ChargeState::Succeeded,
        irreversible: charge.irreversible,
        refunded: charge.refunded.is_positive().then_some(charge.refunded),
    }
}

fn refund_view(refund: &Refund, names: &Names) -> RefundView {
    let state = match refund.state {
        RefundState::Begun => "under way".to_owned(),
        RefundState::Succeeded => "given back".to_owned(),
        RefundState::Failed => format!("failed: {}", refund.code.as_deref().unwrap_or("no reason given")),
    };
    RefundView {
        id: refund.id.to_string(),
        at: refund.begun_at.to_string(),
        amount: refund.amount,
        provider: refund.provider.to_string(),
        agent: name(names, &refund.agent),
        reason: refund.reason.clone(),
        state,
        counts: refund.state == RefundState::Succeeded,
        charge: refund.charge.to_string(),
    }
}

fn owed_view(due: &Due, names: &Names) -> OwedView {
    OwedView {
        since: due.since.to_string(),
        until: due.until.to_string(),
        amount: due.amount,
        provider: due.provider.to_string(),
        agent: name(names, &due.agent),
        resource: due.resource.to_string(),
        charge: due.charge.to_string(),
        state: match due.state {
            DueState::Awaited => "awaited",
            DueState::Disputed => "disputed: the provider has not given it back in time",
            DueState::Settled => "settled",
        },
    }
}

fn name(names: &Names, agent: &AgentId) -> String {
    names.get(agent).cloned().unwrap_or_else(|| agent.to_string())
}
