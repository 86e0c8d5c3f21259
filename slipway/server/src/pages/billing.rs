//! What a person's accounts pay for: subscriptions, use, invoices; and the buttons that end, keep, pay and ask back.

use askama::Template;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use http::{HeaderValue, StatusCode, header};
use purser_db::{DbError, Tx};
use purser_values::Money;
use purser_values::error::PublicError as _;
use purser_values::id::{CloudAccountId, CloudPersonId, CloudResourceId};
use purser_wire::credit::{Credit, CreditForecast, CreditState};
use serde::Deserialize;
use slipway_accounts::account::Account;
use slipway_accounts::account::get::account_list_of;
use slipway_accounts::session::Session;
use slipway_billing::credit::get::credits;
use slipway_billing::invoice::{Document, Kind as Sort, document_get, document_list};
use slipway_billing::request_log::{Answer, Request, deadline, refund_request, request_list};
use slipway_billing::subscription::cancel::{When, subscription_cancel, subscription_keep, subscription_pay};
use slipway_billing::subscription::change::SubscriptionError;
use slipway_billing::subscription::get::{subscription_get, subscription_list};
use slipway_billing::subscription::{Kind, State as Stage, Subscription};
use slipway_billing::usage::room::{Room, room};

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::billing;
use crate::cloud::{Cloud, Shared};

#[derive(Template)]
#[template(path = "billing.html")]
struct BillingPage {
    ctx: PageContext,
    accounts: Vec<Books>,
}

/// The books of one account.
struct Books {
    name: String,
    id: String,
    credits: Vec<CreditRow>,
    forecast: String,
    subscriptions: Vec<Row>,
    meters: Vec<MeterRow>,
    set_aside: String,
    documents: Vec<DocumentRow>,
    requests: Vec<RequestRow>,
}

struct CreditRow {
    programme: String,
    given: String,
    used: String,
    left: String,
    ends: String,
    over: bool,
}

struct Row {
    id: String,
    plan: String,
    price: String,
    state: &'static str,
    until: String,
    next: String,
    over: bool,
    unpaid: bool,
    renews: bool,
    can_keep: bool,
    back_until: Option<String>,
}

struct MeterRow {
    name: &'static str,
    used: u64,
    included: u64,
    cost: String,
}

struct DocumentRow {
    number: String,
    sort: &'static str,
    issued: String,
    total: String,
}

struct RequestRow {
    resource: String,
    asked: String,
    answer: &'static str,
    deadline: String,
    reason: String,
}

pub async fn get(State(cloud): State<Shared>, SignedIn(session): SignedIn) -> Result<Response, PageError> {
    let (person, now) = (session.person.id.clone(), cloud.env.now());
    let read = cloud.db.read(move |tx| -> Result<Vec<Books>, DbError> {
        account_list_of(tx, &person)?.into_iter().map(|account| books(tx, account, now)).collect()
    });
    let accounts = read.await?;
    let mut ctx = PageContext::of(&cloud, &session, "Billing");
    "/".clone_into(&mut ctx.back);
    Ok(Page::ok(BillingPage { ctx, accounts }).into_response())
}

fn books(tx: &mut Tx<'_>, account: Account, now: purser_values::Timestamp) -> Result<Books, DbError> {
    let room = room(tx, &account.id)?;
    let credits = credits(tx, &account.id, now)?;
    Ok(Books {
        forecast: credits.forecast.as_ref().map(forecast).unwrap_or_default(),
        credits: credits.credits.iter().map(credit_row).collect(),
        subscriptions: subscription_list(tx, &account.id)?.iter().map(|sub| row(sub, now)).collect(),
        set_aside: room.as_ref().map(|room| room.set_aside.to_string()).unwrap_or_default(),
        meters: room.as_ref().map(meters).unwrap_or_default(),
        documents: document_list(tx, &account.id)?.iter().map(document_row).collect(),
        requests: request_list(tx, &account.id)?.into_iter().map(request_row).collect(),
        name: account.organisation,
        id: account.id.to_string(),
    })
}

fn credit_row(credit: &Credit) -> CreditRow {
    let held = credit.held.map_or(0, |held| held.minor());
    let used = credit.given.minor() - credit.left.minor() - held;
    let over = credit.state == CreditState::Expired;
    CreditRow {
        programme: credit.programme.clone(),
        given: credit.given.to_string(),
        // When its time is over, what was not used is gone, and no more is told of the two.
        used: if over { String::new() } else { Money::from_minor(used, credit.given.currency()).to_string() },
        left: credit.left.to_string(),
        ends: credit.expires_at.for_people(),
        over,
    }
}

/// What comes when the credit has ended, in one sentence.
fn forecast(forecast: &CreditForecast) -> String {
    let end = format!("At this pace the credit lasts until {}.", forecast.ends_at.for_people());
    match &forecast.first_payment {
        Some(first) => format!(
            "{end} The first payment after it is {} at {}; a month costs about {} then.",
            first.amount,
            first.at.for_people(),
            forecast.monthly
        ),
        None => end,
    }
}

fn row(sub: &Subscription, now: purser_values::Timestamp) -> Row {
    let next = sub.next_terms();
    let until = deadline(sub);
    Row {
        id: sub.resource.to_string(),
        plan: sub.terms.plan.clone(),
        price: sub.terms.price.to_string(),
        state: match sub.state {
            Stage::Active => "paid",
            Stage::PastDue { .. } => "not paid; we try again every day",
            Stage::Suspended { .. } => "suspended; paying brings it back",
            Stage::Ended { .. } => "ended",
        },
        until: sub.period().end.for_people(),
        next: if sub.renews { format!("{} for {}", next.plan, next.price) } else { "nothing".to_owned() },
        over: sub.is_over(),
        unpaid: matches!(sub.state, Stage::PastDue { .. } | Stage::Suspended { .. }),
        renews: sub.renews,
        can_keep: sub.terms.price.is_zero() || sub.terms.payment.token.is_some(),
        back_until: (sub.kind == Kind::Plan && sub.terms.price.is_positive() && now < until).then(|| until.for_people()),
    }
}

fn meters(room: &Room) -> Vec<MeterRow> {
    let rated = room.stretch.prices.rate(&room.used);
    let row = |rated: slipway_billing::price::Rated| MeterRow {
        name: rated.price.meter.words(),
        used: rated.used,
        included: rated.price.included,
        cost: rated.amount.to_string(),
    };
    rated.into_iter().map(row).collect()
}

fn document_row(document: &Document) -> DocumentRow {
    DocumentRow {
        number: document.number.clone(),
        sort: if document.kind == Sort::Invoice { "Invoice" } else { "Credit note" },
        issued: document.issued_at.for_people(),
        total: purser_values::Money::from_minor(document.total_minor, document.currency).to_string(),
    }
}

fn request_row(request: Request) -> RequestRow {
    RequestRow {
        resource: request.resource.to_string(),
        asked: request.asked_at.for_people(),
        answer: if request.answer == "refunded" { "given back" } else { "not refundable" },
        deadline: request.deadline.for_people(),
        reason: request.reason,
    }
}

/// One invoice or credit note: a page to print, or JSON under its number and `.json`.
pub async fn document(State(cloud): State<Shared>, Path(name): Path<String>, SignedIn(session): SignedIn) -> Result<Response, PageError> {
    let (number, as_json) = name.strip_suffix(".json").map_or((name.clone(), false), |number| (number.to_owned(), true));
    let person = session.person.id.clone();
    let read = cloud.db.read(move |tx| -> Result<Option<(Document, Account)>, DbError> {
        for account in account_list_of(tx, &person)? {
            if let Some(document) = document_get(tx, &account.id, &number)? {
                return Ok(Some((document, account)));
            }
        }
        Ok(None)
    });
    let (document, account) = read.await?.ok_or_else(|| not_found("document"))?;
    if as_json {
        return Ok(Json(document).into_response());
    }
    let seller = format!("slipway, {}", cloud.public_url);
    let body = document.html(&seller, &format!("{}, account {}", account.organisation, account.id));
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{number}</title>\
         <link rel=\"stylesheet\" href=\"/style.css\"></head><body><main>{body}\
         <p><a href=\"/billing\">Billing</a> · <a href=\"/billing/documents/{number}.json\">JSON</a></p></main></body></html>",
        number = document.number,
    );
    let mut response = Html(html).into_response();
    let policy = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    Ok(response)
}

#[derive(Deserialize)]
pub struct Nothing {}

pub async fn cancel(State(cloud): State<Shared>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    act(&cloud, &signed.session, &id, |cloud, tx, account, id| subscription_cancel(tx, &cloud.realm, account, id, When::PeriodEnd)).await
}

pub async fn keep(State(cloud): State<Shared>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    act(&cloud, &signed.session, &id, |cloud, tx, account, id| subscription_keep(tx, &cloud.realm, account, id)).await
}

pub async fn pay(State(cloud): State<Shared>, Path(id): Path<String>, signed: SignedForm<Nothing>) -> Result<Response, PageError> {
    act(&cloud, &signed.session, &id, |cloud, tx, account, id| subscription_pay(tx, &cloud.realm, account, id)).await
}

#[derive(Clone, Deserialize)]
pub struct Reason {
    #[serde(default)]
    reason: String,
}

/// The request is kept whatever its answer; the page shows it.
pub async fn ask_back(State(cloud): State<Shared>, Path(id): Path<String>, signed: SignedForm<Reason>) -> Result<Response, PageError> {
    if !signed.session.is_recent(cloud.env.now()) {
        return Err(PageError::SignIn { next: "/billing".to_owned() });
    }
    let reason = signed.form.reason;
    act(&cloud, &signed.session, &id, move |cloud, tx, account, id| {
        refund_request(tx, &cloud.realm, account, id, &reason).map(|answer: Answer| tracing::info!(?answer, "money was asked back"))
    })
    .await
}

/// Does it to a subscription of one of the person's own accounts; anybody else's does not exist.
async fn act<F>(cloud: &Shared, session: &Session, id: &str, work: F) -> Result<Response, PageError>
where
    F: Fn(&Cloud, &mut Tx<'_>, &CloudAccountId, &CloudResourceId) -> Result<(), SubscriptionError> + Send + 'static,
{
    let resource: CloudResourceId = id.parse().map_err(|_| not_found("subscription"))?;
    let (within, person, of) = (cloud.clone(), session.person.id.clone(), resource.clone());
    let written = cloud.db.write(move |tx| {
        let account = own(tx, &person, &of)?;
        work(&within, tx, &account, &of)
    });
    written.await.map_err(refused)?;
    billing::hurry(cloud, &resource).await;
    cloud.wake_jobs.notify_one();
    Ok(Redirect::to("/billing").into_response())
}

fn own(tx: &mut Tx<'_>, person: &CloudPersonId, resource: &CloudResourceId) -> Result<CloudAccountId, SubscriptionError> {
    let sub = subscription_get(tx, resource)?.ok_or(SubscriptionError::NotFound)?;
    let owned = account_list_of(tx, person)?.into_iter().any(|account| account.id == sub.account);
    if owned { Ok(sub.account) } else { Err(SubscriptionError::NotFound) }
}

fn refused(e: SubscriptionError) -> PageError {
    match e {
        SubscriptionError::Store(e) => e.into(),
        e => PageError::new(StatusCode::from_u16(e.kind().http_status()).unwrap_or(StatusCode::CONFLICT), e.code(), e.to_string()),
    }
}

fn not_found(what: &'static str) -> PageError {
    PageError::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
}
