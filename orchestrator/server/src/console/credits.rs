//! `/credits`: a person's organisation asks for credit and sees what is left; `/operator/credits`: the people whom the operator names decide.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::action::{CreditApply, CreditDecide, CreditRead};
use purser_authority::{Attempt, Denied, Facts, authorise};
use purser_db::Tx;
use purser_identity::person;
use purser_identity::session::Session;
use purser_provisioning::perform;
use purser_spend::credit::{self, Application, Asked, Balance, CreditError, Decider, State as Stands};
use purser_values::Sha256Digest;
use purser_values::id::CreditApplicationId;
use purser_values::name::ProviderName;
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

#[derive(Template)]
#[template(path = "credits.html")]
pub struct Credits {
    ctx: PageContext,
    programmes: Vec<Offered>,
    applications: Vec<Row>,
    balances: Vec<Held>,
    decides: bool,
}

#[derive(Template)]
#[template(path = "credits_decide.html")]
pub struct Decide {
    ctx: PageContext,
    applications: Vec<Row>,
}

struct Offered {
    provider: String,
    id: String,
    title: String,
    description: String,
    amount: String,
    months: u32,
    covers: String,
    /// Whether it can be asked for.
    open: bool,
}

struct Row {
    id: String,
    organisation: String,
    provider: String,
    programme: String,
    amount: String,
    months: u32,
    who: String,
    asked: String,
    state: &'static str,
    waits: bool,
    reason: String,
    evidence: String,
    digest: String,
}

struct Held {
    provider: String,
    credits: Vec<Left>,
    forecast: String,
}

struct Left {
    programme: String,
    given: String,
    left: String,
    ends: String,
    state: String,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<Credits>, PageError> {
    let (caller, now) = (session.caller(), front.realm.env.now());
    authorise::<CreditRead>(&caller, &Facts::new(now, "credits")).map(drop)?;
    let organisation = session.member.organisation.id.clone();
    let decides = is_named(&front, &session);
    let ctx = PageContext::of(&front, &session, "Credits");
    let read = move |tx: &mut Tx<'_>| -> Result<Credits, CreditError> {
        let all = credit::of_organisation(tx, &organisation)?;
        let asked = |provider: &ProviderName, id: &str| {
            let stands = |one: &Application| !matches!(one.state, Stands::Denied | Stands::Refused);
            all.iter().any(|one| one.provider == *provider && one.programme == id && stands(one))
        };
        let programmes = credit::programmes(tx)?.into_iter().map(|one| Offered {
            open: !asked(&one.provider, &one.id),
            provider: one.provider.to_string(),
            id: one.id,
            title: one.title,
            description: one.description,
            amount: one.amount.to_string(),
            months: one.months,
            covers: one.covers.join(", "),
        });
        let programmes = programmes.collect();
        let balances = credit::balances(tx, &organisation)?.into_iter().map(held).collect();
        let applications = all.iter().map(|one| row(tx, one, String::new())).collect::<Result<_, CreditError>>()?;
        Ok(Credits { ctx: ctx.clone(), programmes, applications, balances, decides })
    };
    Ok(Page::ok(front.core.db.read(read).await?))
}

#[derive(Deserialize)]
pub struct Wanted {
    provider: ProviderName,
    programme: String,
    evidence: String,
}

pub async fn apply(State(front): State<Front>, signed: SignedForm<Wanted>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (caller, core) = (session.caller(), front.core.clone());
    let attempt = Attempt::new("credit_apply", &caller, form.provider.as_str());
    let approvers = front.realm.credit_approvers.clone();
    let url = front.realm.url("/operator/credits");
    let applied = perform(&front.core, attempt, move |tx| {
        let permit = authorise::<CreditApply>(&caller, &Facts::new(core.env.now(), form.provider.as_str()))?;
        // Browsers end lines as in mail.
        let evidence = form.evidence.replace("\r\n", "\n");
        let asked = Asked { provider: form.provider.clone(), programme: form.programme.clone(), evidence };
        let mut done = credit::apply(tx, &core.env, &core.keyring, &permit, &asked)?;
        for email in approvers.iter() {
            done.jobs.push(purser_provisioning::credits::notice(&core, email, &done.value, &url)?);
        }
        Ok(done)
    });
    applied.await.map_err(|e: CreditError| PageError::from(e))?;
    Ok(Redirect::to("/credits").into_response())
}

pub async fn decide_get(State(front): State<Front>, SignedIn(session): SignedIn) -> Result<Page<Decide>, PageError> {
    named(&front, &session)?;
    let (ctx, keyring) = (PageContext::of(&front, &session, "Applications for credit"), front.core.keyring.clone());
    let read = move |tx: &mut Tx<'_>| -> Result<Decide, CreditError> {
        let mut applications = Vec::new();
        for one in credit::waiting(tx)? {
            let evidence = credit::evidence(tx, &keyring, &one.id)?;
            applications.push(row(tx, &one, evidence)?);
        }
        Ok(Decide { ctx: ctx.clone(), applications })
    };
    Ok(Page::ok(front.core.db.read(read).await?))
}

#[derive(Deserialize)]
pub struct Decision {
    decision: String,
    /// Of the evidence that was shown.
    digest: String,
    #[serde(default)]
    reason: String,
}

pub async fn decide(State(front): State<Front>, Path(id): Path<String>, signed: SignedForm<Decision>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let id: CreditApplicationId = id.parse().map_err(|_| PageError::not_found())?;
    let digest: Sha256Digest = form.digest.parse().map_err(|_| PageError::not_found())?;
    let yes = match form.decision.as_str() {
        "approve" => true,
        "deny" => false,
        _ => return Err(PageError::new(StatusCode::BAD_REQUEST, "no_decision", "press Approve or Deny")),
    };
    let (caller, env, is_named) = (session.caller(), front.realm.env.clone(), is_named(&front, &session));
    let person = session.member.person.id.clone();
    let attempt = Attempt::new("credit_decide", &caller, id.as_str());
    let decided = perform(&front.core, attempt, move |tx| {
        let permit = authorise::<CreditDecide>(&caller, &Facts::new(env.now(), id.as_str()))?;
        let found = credit::find(tx, &id)?.ok_or(CreditError::Unknown)?;
        let is_member = person::member(tx, &found.organisation, &person)?.is_some();
        credit::decide(tx, &env, &permit, Decider { is_named, is_member }, yes, &digest, &form.reason)
    });
    decided.await.map_err(|e: CreditError| PageError::from(e))?;
    Ok(Redirect::to("/operator/credits").into_response())
}

/// Whether the operator names this person. Their address is one that they have proved, and a decision wants a step-up besides.
fn is_named(front: &Front, session: &Session) -> bool {
    front.realm.credit_approvers.contains(&session.member.person.email)
}

/// To everybody else the page does not exist.
fn named(front: &Front, session: &Session) -> Result<(), PageError> {
    if is_named(front, session) { Ok(()) } else { Err(Denied::NotFound.into()) }
}

fn row(tx: &mut Tx<'_>, one: &Application, evidence: String) -> Result<Row, CreditError> {
    let member = person::member(tx, &one.organisation, &one.requester)?;
    let who = member.as_ref().map_or_else(|| one.requester.to_string(), |member| member.person.email.to_string());
    Ok(Row {
        id: one.id.to_string(),
        organisation: member.map_or_else(|| one.organisation.to_string(), |member| member.organisation.name),
        provider: one.provider.to_string(),
        programme: one.programme.clone(),
        amount: one.amount.to_string(),
        months: one.months,
        who: if one.agent.is_some() { format!("an agent of {who}") } else { who },
        asked: one.asked_at.for_people(),
        state: one.state.name(),
        waits: one.state == Stands::Pending,
        reason: one.reason.clone().unwrap_or_default(),
        evidence,
        digest: one.evidence_sha256.to_string(),
    })
}

fn held(balance: Balance) -> Held {
    let forecast = balance.forecast.map_or_else(String::new, |forecast| {
        let end = format!("At this pace it lasts until {}.", forecast.ends_at.for_people());
        match forecast.first_payment {
            Some(first) => {
                let at = first.at.for_people();
                format!("{end} Then {} is charged at {at}, and a month costs about {}.", first.amount, forecast.monthly)
            }
            None => end,
        }
    });
    let credits = balance.credits.into_iter().map(|one| Left {
        programme: one.programme,
        given: one.given.to_string(),
        left: one.left.to_string(),
        ends: one.expires_at.for_people(),
        state: one.state,
    });
    Held { provider: balance.provider.to_string(), credits: credits.collect(), forecast }
}
