//! The person's decision.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::{Attempt, Reach};
use purser_crypto::constant_time_eq;
use purser_crypto::encoding::b64url;
use purser_db::DbError;
use purser_http::extract::Query;
use purser_identity::authorization::of_grant_request;
use purser_identity::consent::ConsentFacts;
use purser_identity::grant::Statement;
use purser_identity::grant_request::{Accept, AskedScope, Asker, Decided, Decision, GrantRequest, State as RequestState, UserCode, by_id};
use purser_identity::passkey::{AssertionAnswer, signing_options};
use purser_identity::session::Session;
use purser_provisioning::{ConsentDecision, grant_decide, perform};
use purser_spend::rail::sandbox::SandboxCard;
use purser_values::id::GrantRequestId;
use purser_values::{Money, Sha256Digest};
use serde::Deserialize;

use super::view::{facts_of, seen_digest, show};
use crate::console::failure::PageError;
use crate::console::form::SignedForm;
use crate::console::page::{Page, PageContext};
use crate::console::script;
use crate::console::session::SignedIn;
use crate::front::Front;

/// The form as pairs, because providers repeat.
pub(super) type Pairs = Vec<(String, String)>;

pub async fn post(State(front): State<Front>, signed: SignedForm<Pairs>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let now = front.realm.env.now();
    let id: GrantRequestId = field(&form, "request").and_then(|id| id.parse().ok()).ok_or_else(PageError::not_found)?;
    let look = id.clone();
    let request = front.core.db.read(move |tx| by_id(tx, &look, now)).await?.ok_or_else(PageError::not_found)?;
    match request.state {
        RequestState::Pending => {}
        RequestState::Expired => {
            let text = format!("this request ran out at {}, and nothing of it can be accepted any more", request.expires_at.for_people());
            return Err(PageError::new(StatusCode::CONFLICT, "request_expired", &text).hint("ask again in the terminal"));
        }
        _ => return Err(PageError::new(StatusCode::CONFLICT, "request_decided", "this request was decided before")),
    }
    let decision = match field(&form, "decision") {
        Some("deny") => ConsentDecision { decision: Decision::Deny, card: None },
        Some("accept") => match read(&front, &session, &request, &form).await? {
            Ok(decision) => match to_sign(&front, &session, &request, &form, &decision).await? {
                Some(page) => return Ok(page),
                None => decision,
            },
            Err(wrong) => return show(&front, &session, &request, Some(&form), Some(wrong)).await,
        },
        _ => return Err(PageError::new(StatusCode::BAD_REQUEST, "no_decision", "press Accept or Deny")),
    };
    let (realm, caller) = (front.realm.clone(), session.caller());
    let attempt = Attempt::new("grant_decide", &caller, id.as_str());
    let look = id.clone();
    let waiting = front.core.db.read(move |tx| of_grant_request(tx, &look)).await?;
    let decided = perform(&front.core, attempt, move |tx| grant_decide(tx, &realm, &caller, &id, &decision)).await?;
    front.decisions.ring();
    if let Some(application) = waiting {
        return Ok(Redirect::to(&crate::oidc::consent_path(&application.id)).into_response());
    }
    let what = match decided {
        Decided::Granted { .. } => "granted",
        Decided::LetIn => "let-in",
        Decided::Denied => "denied",
    };
    Ok(to_done(&front, &session, what))
}

#[derive(Template)]
#[template(path = "sign.html")]
struct SignPage {
    ctx: PageContext,
    /// What the passkey is asked with: the challenge is the statement's digest.
    options: String,
    /// The bounds of the grant in one line.
    plain: String,
    statement: String,
    digest: String,
    fields: Pairs,
}

/// The page on which a person with a passkey signs what they accept, unless they have signed, or said that they will not.
async fn to_sign(
    front: &Front,
    session: &Session,
    request: &GrantRequest,
    form: &Pairs,
    decision: &ConsentDecision,
) -> Result<Option<Response>, PageError> {
    let Decision::Accept(accept) = &decision.decision else { return Ok(None) };
    if accept.answer.is_some() || field(form, "unsigned").is_some() {
        return Ok(None);
    }
    let (person, organisation) = (session.member.person.id.clone(), &session.member.organisation.id);
    let statement = Statement::of(&front.realm, request, &person, organisation, &accept.allowed, &accept.terms);
    let text = statement.text().map_err(|e| DbError::Other(e.to_string()))?;
    let (realm, digest) = (front.realm.clone(), Sha256Digest::of(text.as_bytes()));
    let options = front.core.db.read(move |tx| signing_options(tx, &realm, &person, &digest)).await?;
    let Some(options) = options else { return Ok(None) };
    let ctx = PageContext::of(front, session, "Sign what you accept");
    let fields = form.iter().filter(|(name, _)| !matches!(name.as_str(), "csrf" | "answer" | "decision")).cloned().collect();
    let page = SignPage {
        ctx,
        options: options.to_string(),
        plain: plain(&accept.allowed),
        statement: pretty(&text),
        digest: digest.to_string(),
        fields,
    };
    Ok(Some(script::allow(front, Page::ok(page).into_response())))
}

/// What is signed, in the words of the page before.
fn plain(allowed: &AskedScope) -> String {
    let own: String = allowed.caps.iter().map(|(name, cap)| format!(", {cap} at {name}")).collect();
    let total = allowed.total.map(|total| format!("; {total} in all")).unwrap_or_default();
    let days = allowed.life_s / 86_400;
    let life = match days {
        0 => format!("{} hours", (allowed.life_s / 3_600).max(1)),
        1 => "one day".to_owned(),
        days => format!("{days} days"),
    };
    format!("At most {} a month at each provider{own}{total}; providers: {}; for {life}", allowed.cap, allowed.providers)
}

/// The statement for people: the same JSON with line ends.
fn pretty(text: &str) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(text).and_then(|value| serde_json::to_string_pretty(&value));
    parsed.unwrap_or_else(|_| text.to_owned())
}

/// The decision in the form, or why it cannot be taken as it is and the page must be shown again.
async fn read(
    front: &Front,
    session: &Session,
    request: &GrantRequest,
    form: &Pairs,
) -> Result<Result<ConsentDecision, String>, PageError> {
    let code = field(form, "user_code").and_then(|text| text.parse::<UserCode>().ok());
    if code.as_ref() != Some(&request.user_code) {
        return Ok(Err("the code is not the one that the terminal shows".to_owned()));
    }
    let facts = facts_of(front, session, request).await?;
    if field(form, "seen") != Some(seen_digest(request, &facts).to_string().as_str()) {
        return Ok(Err("what the page shows has changed meanwhile: read it again".to_owned()));
    }
    Ok(match &request.asker {
        Asker::Agent(asked) => accept(super::may_add_card(front, session), asked, &facts, form),
        Asker::Person => Ok(ConsentDecision { decision: Decision::LetIn, card: None }),
    })
}

fn accept(may_add_card: bool, asked: &AskedScope, facts: &ConsentFacts, form: &Pairs) -> Result<ConsentDecision, String> {
    let chosen: Vec<_> = form.iter().filter(|(name, _)| name == "provider").map(|(_, value)| value.as_str()).collect();
    let accepted = facts.providers.iter().filter(|p| chosen.contains(&p.name.as_str()));
    let (mut providers, mut terms) = (Vec::new(), Vec::new());
    for provider in accepted {
        providers.push(provider.name.clone());
        terms.extend(provider.terms.iter().cloned());
    }
    if providers.is_empty() {
        return Err("choose at least one provider, or deny".to_owned());
    }
    let card = field(form, "card").filter(|_| may_add_card && facts.payment_method.is_none());
    let card = match card {
        Some(last4) => Some(SandboxCard::from_last4(last4).ok_or("the card is none of those on the page")?),
        None => None,
    };
    let currency = asked.cap.currency();
    let money = |name: &str| -> Result<Option<Money>, String> {
        let text = field(form, name).unwrap_or_default().trim();
        if text.is_empty() {
            return Ok(None);
        }
        Money::parse_decimal(text, currency).map(Some).map_err(|e| format!("the limit: {e}"))
    };
    let mut caps = BTreeMap::new();
    for provider in &providers {
        if let Some(cap) = money(&format!("cap_{provider}"))? {
            caps.insert(provider.clone(), cap);
        }
    }
    let allowed = AskedScope {
        projects: reach(form, "project", &asked.projects)?,
        environments: reach(form, "environment", &asked.environments)?,
        providers: Reach::only(providers),
        services: reach(form, "service", &asked.services)?,
        actions: asked.actions.clone(),
        cap: money("cap")?.ok_or("write a limit, or deny")?,
        caps,
        total: money("total")?,
        export: ticked(form, "export"),
        irreversible: ticked(form, "irreversible"),
        delegate: ticked(form, "delegate"),
        life_s: field(form, "life").and_then(|text| text.parse().ok()).ok_or("choose how long")?,
    };
    let answer = field(form, "answer").filter(|text| !text.is_empty()).map(str::parse::<AssertionAnswer>).transpose();
    let answer = answer.map_err(|e| format!("the passkey's answer: {e}"))?;
    Ok(ConsentDecision { decision: Decision::Accept(Box::new(Accept { allowed, terms, answer })), card })
}

/// The names that are left: ticked ones, or those typed where all were asked for.
fn reach<T>(form: &Pairs, name: &str, asked: &Reach<T>) -> Result<Reach<T>, String>
where
    T: Ord + Clone + std::str::FromStr<Err: std::fmt::Display>,
{
    let mut names = BTreeSet::new();
    let typed = field(form, &format!("{name}_only")).filter(|_| asked.is_all()).unwrap_or_default();
    let ticked = form.iter().filter(|(n, _)| n == name && !asked.is_all()).map(|(_, value)| value.as_str());
    for text in typed.split_ascii_whitespace().chain(ticked) {
        names.insert(text.parse().map_err(|e| format!("{e}"))?);
    }
    match (asked.is_all(), names.is_empty()) {
        (true, true) => Ok(Reach::All),
        (false, true) => Err(format!("leave at least one {name}, or deny")),
        (_, false) => Ok(Reach::Only(names)),
    }
}

pub(super) fn field<'a>(form: &'a Pairs, name: &str) -> Option<&'a str> {
    form.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

fn ticked(form: &Pairs, name: &str) -> bool {
    field(form, name).is_some()
}

/// What was decided, with our word for it: the page claims nothing to somebody who only opens its address.
#[derive(Deserialize)]
pub struct As {
    #[serde(rename = "as")]
    what: Option<String>,
    #[serde(default)]
    word: String,
}

/// Where a decision leads to.
pub(super) fn to_done(front: &Front, session: &Session, what: &str) -> Response {
    Redirect::to(&format!("/device/done?as={what}&word={}", word(front, session, what))).into_response()
}

fn word(front: &Front, session: &Session, what: &str) -> String {
    b64url(&front.realm.keys.mac("device-done", &[session.id.as_str(), what]))
}

#[derive(Template)]
#[template(path = "decided.html")]
pub struct DonePage {
    ctx: PageContext,
    /// Empty when nothing was decided in this browser just now.
    what: &'static str,
}

pub async fn done(State(front): State<Front>, SignedIn(session): SignedIn, Query(query): Query<As>) -> Page<DonePage> {
    let ours = |what: &&str| constant_time_eq(word(&front, &session, what).as_bytes(), query.word.as_bytes());
    let what = ["granted", "let-in", "signed-on", "denied"].into_iter().find(|what| query.what.as_deref() == Some(*what)).filter(ours);
    Page::ok(DonePage { ctx: PageContext::of(&front, &session, "Decided"), what: what.unwrap_or_default() })
}
