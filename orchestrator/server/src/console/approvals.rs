//! `/approvals`: what agents and colleagues ask a person's yes for.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::action::{ApprovalDecide, ApprovalRead};
use purser_authority::{Attempt, Facts, authorise};
use purser_catalogue::Price;
use purser_db::Tx;
use purser_identity::agent;
use purser_identity::approval::{self, Answer, Approval, ApprovalError, ApprovalState, Every, Most, Reader, approval_decide};
use purser_identity::person;
use purser_provisioning::approval::price;
use purser_provisioning::perform;
use purser_values::id::ApprovalId;
use purser_values::money::MoneyError;
use purser_values::{Currency, Money, Sha256Digest};
use serde::Deserialize;
use serde_json::Value;

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

#[derive(Template)]
#[template(path = "approvals.html")]
pub struct Approvals {
    ctx: PageContext,
    waiting: Vec<RowView>,
    others: Vec<RowView>,
}

struct RowView {
    id: String,
    what: String,
    who: String,
    at: String,
    waits: bool,
    state: String,
}

#[derive(Template)]
#[template(path = "approval.html")]
pub struct One {
    ctx: PageContext,
    id: String,
    digest: String,
    who: String,
    key: Option<String>,
    for_whom: String,
    through: String,
    what: String,
    place: String,
    name: String,
    configuration: Vec<(String, String)>,
    price: String,
    /// What the provider says of its price, where that is prose.
    prose: Option<String>,
    most: Option<String>,
    /// Whether whoever says yes has to say what it may cost at most.
    open_price: bool,
    currency: String,
    undo: &'static str,
    payer: String,
    room: Option<String>,
    reason: String,
    second_person: bool,
    asked_at: String,
    expires_at: String,
    state: &'static str,
    decided: Option<String>,
}

pub async fn list(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<Approvals>, PageError> {
    let (caller, now) = (session.caller(), front.realm.env.now());
    authorise::<ApprovalRead>(&caller, &Facts::new(now, "approvals")).map(drop)?;
    let organisation = session.member.organisation.id.clone();
    let rows = move |tx: &mut Tx<'_>| -> Result<Vec<RowView>, ApprovalError> {
        approval::list(tx, &organisation, now)?.iter().map(|one| row(tx, one)).collect()
    };
    let (waiting, others) = front.core.db.read(rows).await?.into_iter().partition(|row| row.waits);
    Ok(Page::ok(Approvals { ctx: PageContext::of(&front, &session, "Approvals"), waiting, others }))
}

fn row(tx: &mut Tx<'_>, one: &Approval) -> Result<RowView, ApprovalError> {
    let request: Value = serde_json::from_str(&one.request).unwrap_or_default();
    Ok(RowView {
        id: one.id.to_string(),
        what: format!("{} {}", words(&one.verb), text(&request["service"])),
        who: asker(tx, one)?.0,
        at: one.created_at.for_people(),
        waits: one.state == ApprovalState::Pending,
        state: match &one.state {
            ApprovalState::Ended { how } => format!("ended: {how}"),
            other => other.name().to_owned(),
        },
    })
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn, Path(id): Path<String>) -> Result<Page<One>, PageError> {
    let id: ApprovalId = id.parse().map_err(|_| PageError::not_found())?;
    let (caller, now) = (session.caller(), front.realm.env.now());
    authorise::<ApprovalRead>(&caller, &Facts::new(now, id.as_str())).map(drop)?;
    let ctx = PageContext::of(&front, &session, "Approval");
    let read = move |tx: &mut Tx<'_>| -> Result<One, ApprovalError> {
        let found = approval::find(tx, &id, now)?.filter(|found| Reader(&caller).sees(found)).ok_or(ApprovalError::Unknown)?;
        one(tx, ctx.clone(), &found)
    };
    Ok(Page::ok(front.core.db.read(read).await?))
}

#[derive(Deserialize)]
pub struct Decision {
    decision: String,
    digest: String,
    /// What it may cost at most, where its price is prose.
    #[serde(default)]
    most: String,
    #[serde(default)]
    currency: String,
    period: Option<Every>,
}

impl Decision {
    fn answer(&self) -> Result<Answer, PageError> {
        let bad = |words: &str| PageError::new(StatusCode::BAD_REQUEST, "approval_most", words);
        match (self.decision.as_str(), self.most.trim()) {
            ("deny", _) => Ok(Answer::No),
            ("approve", "") => Ok(Answer::Yes),
            ("approve", most) => {
                let currency: Currency = self.currency.trim().parse().map_err(|e: MoneyError| bad(&e.to_string()))?;
                let amount = Money::parse_decimal(most, currency).map_err(|e| bad(&e.to_string()))?;
                let period = self.period.ok_or_else(|| bad("say how often it may cost that"))?;
                Ok(Answer::UpTo(Most { amount, period }))
            }
            _ => Err(PageError::new(StatusCode::BAD_REQUEST, "no_decision", "press Approve or Deny")),
        }
    }
}

pub async fn decide(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Decision>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let id: ApprovalId = id.parse().map_err(|_| PageError::not_found())?;
    let digest: Sha256Digest = form.digest.parse().map_err(|_| PageError::not_found())?;
    let answer = form.answer()?;
    let (caller, env, to) = (session.caller(), front.realm.env.clone(), format!("/approvals/{id}"));
    let attempt = Attempt::new("approval_decide", &caller, id.as_str());
    perform(&front.core, attempt, move |tx| {
        let permit = approval::permit::<ApprovalDecide, ApprovalError>(tx, &caller, &id, env.now())?;
        approval_decide(tx, &env, &permit, answer, &digest)
    })
    .await?;
    Ok(Redirect::to(&to).into_response())
}

fn one(tx: &mut Tx<'_>, ctx: PageContext, found: &Approval) -> Result<One, ApprovalError> {
    let request: Value = serde_json::from_str(&found.request).unwrap_or_default();
    let (who, key) = asker(tx, found)?;
    let for_whom = name_of(tx, found, &found.requester)?;
    let listed: Option<Price> = serde_json::from_value(request["price"].clone()).ok();
    let prose = if let Some(Price::Unknown { text }) = &listed { Some(text.clone()) } else { None };
    let configuration = request["configuration"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value)));
    let payer = &request["payer"];
    let decided = match &found.state {
        ApprovalState::Approved { by, at } => Some(format!(
            "approved by {} at {}; good for one use until {}",
            name_of(tx, found, by)?,
            at.for_people(),
            found.expires_at.for_people()
        )),
        ApprovalState::Denied { by, at } => Some(format!("denied by {} at {}", name_of(tx, found, by)?, at.for_people())),
        ApprovalState::Used { by, at, subject } => {
            Some(format!("approved by {}, used at {} for {subject}", name_of(tx, found, by)?, at.for_people()))
        }
        ApprovalState::Expired => Some(format!("run out at {}", found.expires_at.for_people())),
        ApprovalState::Ended { how } => Some(format!("ended: {how}")),
        ApprovalState::Pending => None,
    };
    Ok(One {
        ctx,
        id: found.id.to_string(),
        digest: found.digest.to_string(),
        who,
        key,
        for_whom,
        through: request["through"].as_array().into_iter().flatten().map(|l| text(&l["agent"])).collect::<Vec<_>>().join(", "),
        what: format!("{} {}", words(&found.verb), text(&request["service"])),
        place: format!("project {}, environment {}", text(&request["project"]), text(&request["environment"])),
        name: text(&request["name"]),
        configuration: configuration.collect(),
        price: listed.as_ref().map_or_else(|| "no price is known".to_owned(), price),
        undo: match &listed {
            _ if found.open_price => "Nobody knows: take it that it cannot be undone or refunded.",
            Some(price) if price.is_irreversible() => "No: it cannot be undone or refunded.",
            _ => "Yes: it can be removed again.",
        },
        prose,
        most: found.most.map(|most| match most.period {
            Every::Once => format!("{} once", most.amount),
            Every::Month => format!("{} every month", most.amount),
            Every::Year => format!("{} every year", most.amount),
        }),
        open_price: found.open_price,
        currency: currency(&found.facts),
        payer: if payer.is_null() {
            "nothing: there is no card on file".to_owned()
        } else {
            format!("{} ending in {}", text(&payer["brand"]), text(&payer["last4"]))
        },
        room: room(&found.facts),
        reason: found.reason.clone(),
        second_person: found.second_person,
        asked_at: found.created_at.for_people(),
        expires_at: found.expires_at.for_people(),
        state: found.state.name(),
        decided,
    })
}

/// Who asks, and the key of an agent.
fn asker(tx: &mut Tx<'_>, found: &Approval) -> Result<(String, Option<String>), ApprovalError> {
    let known = match &found.agent {
        Some(id) => agent::find(tx, id)?,
        None => None,
    };
    Ok(match known {
        Some(agent) => (format!("the agent “{}” (it calls itself that)", agent.name), Some(agent.jkt)),
        None => (name_of(tx, found, &found.requester)?, None),
    })
}

fn name_of(tx: &mut Tx<'_>, found: &Approval, id: &purser_values::id::PersonId) -> Result<String, ApprovalError> {
    Ok(person::member(tx, &found.organisation, id)?.map_or_else(|| id.to_string(), |member| member.person.email.to_string()))
}

/// The currency of the agent's cap: what is paid in another is refused there.
fn currency(facts: &Value) -> String {
    serde_json::from_value::<Money>(facts["room"]["cap"].clone()).map_or(Currency::USD, Money::currency).to_string()
}

fn room(facts: &Value) -> Option<String> {
    let (left, cap): (Money, Money) =
        (serde_json::from_value(facts["room"]["left"].clone()).ok()?, serde_json::from_value(facts["room"]["cap"].clone()).ok()?);
    Some(format!("{left} of {cap} was left for {} when it asked", text(&facts["room"]["month"])))
}

fn words(verb: &str) -> &str {
    match verb {
        purser_provisioning::approval::ADD => "add",
        purser_provisioning::approval::UPDATE => "change into",
        other => other,
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
