//! The person's decision.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::{Attempt, Reach};
use purser_identity::consent::ConsentFacts;
use purser_identity::grant_request::{Accept, AskedScope, Asker, Decided, Decision, GrantRequest, State as RequestState, UserCode, by_id};
use purser_identity::session::Session;
use purser_provisioning::{ConsentDecision, grant_decide, perform};
use purser_spend::rail::sandbox::SandboxCard;
use purser_values::Money;
use purser_values::id::GrantRequestId;
use serde::Deserialize;

use super::view::{facts_of, seen_digest, show};
use crate::console::failure::PageError;
use crate::console::form::SignedForm;
use crate::console::page::{Page, PageContext};
use crate::console::session::SignedIn;
use crate::front::Front;

/// The form as pairs, because providers repeat.
type Pairs = Vec<(String, String)>;

pub async fn post(State(front): State<Front>, signed: SignedForm<Pairs>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let now = front.realm.env.now();
    let id: GrantRequestId = field(&form, "request").and_then(|id| id.parse().ok()).ok_or_else(PageError::not_found)?;
    let look = id.clone();
    let request = front.core.db.read(move |tx| by_id(tx, &look, now)).await?.ok_or_else(PageError::not_found)?;
    if request.state != RequestState::Pending {
        return Err(PageError::new(StatusCode::CONFLICT, "request_decided", "this request was decided before, or has run out"));
    }
    let decision = match field(&form, "decision") {
        Some("deny") => ConsentDecision { decision: Decision::Deny, card: None },
        Some("accept") => match read(&front, &session, &request, &form).await? {
            Ok(decision) => decision,
            Err(wrong) => return show(&front, &session, &request, Some(wrong)).await,
        },
        _ => return Err(PageError::new(StatusCode::BAD_REQUEST, "no_decision", "press Accept or Deny")),
    };
    let (realm, caller) = (front.realm.clone(), session.caller());
    let attempt = Attempt::new("grant_decide", &caller, id.as_str());
    let decided = perform(&front.core, attempt, move |tx| grant_decide(tx, &realm, &caller, &id, &decision)).await?;
    front.decisions.ring();
    let what = match decided {
        Decided::Granted { .. } => "granted",
        Decided::LetIn => "let-in",
        Decided::Denied => "denied",
    };
    Ok(Redirect::to(&format!("/device/done?as={what}")).into_response())
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
    let cap_text = field(form, "cap").unwrap_or_default().trim();
    let cap = Money::parse_decimal(cap_text, asked.cap.currency()).map_err(|e| format!("the cap: {e}"))?;
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
    let mut allowed = asked.clone();
    allowed.providers = Reach::only(providers);
    allowed.cap = cap;
    allowed.export = ticked(form, "export");
    allowed.irreversible = ticked(form, "irreversible");
    Ok(ConsentDecision { decision: Decision::Accept(Box::new(Accept { allowed, terms })), card })
}

fn field<'a>(form: &'a Pairs, name: &str) -> Option<&'a str> {
    form.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
}

fn ticked(form: &Pairs, name: &str) -> bool {
    field(form, name).is_some()
}

#[derive(Deserialize)]
pub struct As {
    #[serde(rename = "as")]
    what: Option<String>,
}

#[derive(Template)]
#[template(path = "decided.html")]
pub struct DonePage {
    ctx: PageContext,
    what: &'static str,
}

pub async fn done(State(front): State<Front>, SignedIn(session): SignedIn, Query(query): Query<As>) -> Page<DonePage> {
    let what = match query.what.as_deref() {
        Some("granted") => "granted",
        Some("let-in") => "let-in",
        Some("signed-on") => "signed-on",
        _ => "denied",
    };
    Page::ok(DonePage { ctx: PageContext::of(&front, &session, "Decided"), what })
}
