//! What the person sees before they decide.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use purser_db::DbError;
use purser_identity::authorization::device::device_sign_on_by_user_code;
use purser_identity::consent::{ConsentFacts, TermsSeen};
use purser_identity::grant_request::{AskedScope, Asker, GrantRequest, State as RequestState, UserCode, by_user_code};
use purser_identity::session::Session;
use purser_provisioning::consent_facts;
use purser_spend::rail::sandbox::SandboxCard;
use purser_values::name::ProviderName;
use purser_values::{Money, Sha256Digest};
use serde::Deserialize;

use crate::console::failure::PageError;
use crate::console::page::{Page, PageContext};
use crate::console::session::SignedIn;
use crate::front::Front;

#[derive(Deserialize)]
pub struct Code {
    user_code: Option<String>,
}

#[derive(Template)]
#[template(path = "device_code.html")]
struct CodePage {
    ctx: PageContext,
    wrong: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    ctx: PageContext,
    request: RequestView,
    agent: Option<AgentView>,
    wrong: Option<String>,
}

struct RequestView {
    id: String,
    user_code: String,
    /// Whether the person types the code, instead of comparing it.
    typed: bool,
    name: String,
    fingerprint: String,
    peer: String,
    at: String,
    seen: String,
}

/// What is asked by an agent; absent for a person's own terminal.
struct AgentView {
    projects: Vec<String>,
    providers: Vec<ProviderView>,
    unknown: Vec<String>,
    cap: String,
    currency: &'static str,
    worst: String,
    many: usize,
    irreversible: bool,
    export: bool,
    ends: String,
    payment_method: Option<String>,
    cards: Vec<SandboxCard>,
}

struct ProviderView {
    name: String,
    display: String,
    terms: Vec<TermsSeen>,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn, Query(code): Query<Code>) -> Result<Response, PageError> {
    let Some(text) = code.user_code.filter(|text| !text.is_empty()) else { return Ok(ask_code(&front, &session, None)) };
    let Ok(code) = text.parse::<UserCode>() else {
        return Ok(ask_code(&front, &session, Some("that is not a code: it has eight letters, such as WDJB-MJHT")));
    };
    let now = front.realm.env.now();
    let find =
        move |tx: &mut purser_db::Tx<'_>| Ok::<_, DbError>((by_user_code(tx, &code, now)?, device_sign_on_by_user_code(tx, &code, now)?));
    let decided = || PageError::new(StatusCode::CONFLICT, "request_decided", "this request was decided before");
    match front.core.db.read(find).await? {
        (Some(request), _) if request.state == RequestState::Pending => show(&front, &session, &request, None).await,
        (_, Some(request)) if request.is_pending() => super::sign_on::show(&front, &session, &request, None).await,
        (Some(request), _) if request.state != RequestState::Expired => Err(decided()),
        (_, Some(request)) if request.is_decided() => Err(decided()),
        _ => Ok(ask_code(&front, &session, Some("no request with this code waits; it may have run out"))),
    }
}

fn ask_code(front: &Front, session: &Session, wrong: Option<&'static str>) -> Response {
    let status = if wrong.is_some() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    Page(status, CodePage { ctx: PageContext::of(front, session, "Connect a terminal"), wrong }).into_response()
}

/// The page for one pending request; `wrong` says why an earlier decision was not taken.
pub async fn show(front: &Front, session: &Session, request: &GrantRequest, wrong: Option<String>) -> Result<Response, PageError> {
    let facts = facts_of(front, session, request).await?;
    let agent = match &request.asker {
        Asker::Agent(asked) => Some(agent_view(front, super::may_add_card(front, session), asked, &facts)),
        Asker::Person => None,
    };
    let title = if agent.is_some() { "Let an agent act for you?" } else { "Let your terminal in?" };
    let request = RequestView {
        id: request.id.to_string(),
        user_code: request.user_code.to_string(),
        typed: !front.sandbox,
        name: request.name.to_string(),
        fingerprint: request.jkt.clone(),
        peer: request.peer.clone(),
        at: request.created_at.for_people(),
        seen: seen_digest(request, &facts).to_string(),
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let ctx = PageContext::of(front, session, title);
    Ok(Page(status, ConsentPage { ctx, request, agent, wrong }).into_response())
}

/// The facts that the page shows, as they are now.
pub async fn facts_of(front: &Front, session: &Session, request: &GrantRequest) -> Result<ConsentFacts, PageError> {
    let Asker::Agent(asked) = &request.asker else { return Ok(ConsentFacts::default()) };
    let (organisation, providers) = (session.member.organisation.id.clone(), asked.providers.named().cloned().collect::<Vec<_>>());
    Ok(front.core.db.read(move |tx| consent_facts(tx, &organisation, &providers)).await?)
}

/// What was on the page: a decision over anything else is not taken.
pub fn seen_digest(request: &GrantRequest, facts: &ConsentFacts) -> Sha256Digest {
    let terms: Vec<&TermsSeen> = facts.providers.iter().flat_map(|p| &p.terms).collect();
    let seen = serde_json::json!({ "request": request.id, "jkt": request.jkt, "terms": terms, "pays": facts.payment_method });
    Sha256Digest::of(seen.to_string().as_bytes())
}

fn agent_view(front: &Front, may_add_card: bool, asked: &AskedScope, facts: &ConsentFacts) -> AgentView {
    let known = |name: &ProviderName| facts.providers.iter().any(|p| p.name == *name);
    let many = facts.providers.len();
    let times = i64::try_from(many).unwrap_or(i64::MAX);
    let worst = Money::from_minor(asked.cap.minor().saturating_mul(times), asked.cap.currency());
    let providers =
        facts.providers.iter().map(|p| ProviderView { name: p.name.to_string(), display: p.display.clone(), terms: p.terms.clone() });
    AgentView {
        projects: asked.projects.named().map(ToString::to_string).collect(),
        providers: providers.collect(),
        unknown: asked.providers.named().filter(|p| !known(p)).map(ToString::to_string).collect(),
        cap: asked.cap.decimal(),
        currency: asked.cap.currency().code(),
        worst: worst.to_string(),
        many,
        irreversible: asked.irreversible,
        export: asked.export,
        ends: front.realm.env.now().plus_secs(asked.life_s).for_people(),
        payment_method: facts.payment_method.clone(),
        cards: if may_add_card { SandboxCard::ALL.to_vec() } else { Vec::new() },
    }
}
