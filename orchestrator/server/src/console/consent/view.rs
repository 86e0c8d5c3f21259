//! What the person sees before they decide.

use askama::Template;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use purser_authority::Reach;
use purser_authority::action::{GrantDecide, grantable, words};
use purser_db::DbError;
use purser_http::extract::Query;
use purser_identity::authorization::device::device_sign_on_by_user_code;
use purser_identity::authorization::of_grant_request;
use purser_identity::consent::{ConsentFacts, TermsSeen};
use purser_identity::grant_request::{AskedScope, Asker, GrantRequest, State as RequestState, UserCode, by_user_code};
use purser_identity::person::Member;
use purser_identity::session::Session;
use purser_provisioning::consent_facts;
use purser_spend::rail::sandbox::SandboxCard;
use purser_values::name::ProviderName;
use purser_values::{Money, Sha256Digest};
use serde::Deserialize;

use super::decide::{Pairs, field};
use crate::console::budgets;
use crate::console::failure::PageError;
use crate::console::page::{Page, PageContext};
use crate::console::session::SignedIn;
use crate::front::Front;
use crate::membership::could;

/// Lives that a person can choose instead of a longer one, in seconds.
const SHORTER_S: [i64; 4] = [3_600, 86_400, 7 * 86_400, 30 * 86_400];

#[derive(Deserialize)]
pub struct Code {
    user_code: Option<String>,
}

#[derive(Template)]
#[template(path = "device_code.html")]
struct CodePage {
    ctx: PageContext,
    wrong: Option<String>,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct ConsentPage {
    ctx: PageContext,
    request: RequestView,
    agent: Option<AgentView>,
    /// What limits purchases whatever is granted here.
    standing: Vec<String>,
    wrong: Option<String>,
}

struct RequestView {
    id: String,
    user_code: String,
    /// Whether the person types the code, instead of comparing it.
    typed: bool,
    /// The application that sent the person here; absent when a terminal asks.
    application: Option<Application>,
    name: String,
    fingerprint: String,
    peer: String,
    at: String,
    until: String,
    seen: String,
}

/// Who sent the person here, and where their answer goes back to.
struct Application {
    client: String,
    goes_to: String,
}

/// What is asked by an agent; absent for a person's own terminal.
struct AgentView {
    reaches: Vec<ReachView>,
    lives: Vec<LifeView>,
    /// Written out by the agent; empty when it asks for all that agents can be granted.
    actions: Vec<(&'static str, String)>,
    providers: Vec<ProviderView>,
    unknown: Vec<String>,
    cap: String,
    total: String,
    total_asked: bool,
    currency: &'static str,
    worst: String,
    many: usize,
    irreversible: bool,
    irreversible_on: bool,
    export: bool,
    export_on: bool,
    delegate: bool,
    delegate_on: bool,
    payment_method: Option<String>,
    cards: Vec<SandboxCard>,
}

/// One direction in which names can be left out.
struct ReachView {
    legend: &'static str,
    name: &'static str,
    all: bool,
    names: Vec<NameView>,
    typed: String,
}

impl ReachView {
    fn any_new(&self) -> bool {
        self.names.iter().any(|one| one.new)
    }
}

struct NameView {
    text: String,
    on: bool,
    /// Whether there is nothing of that name yet.
    new: bool,
}

struct LifeView {
    seconds: i64,
    words: String,
    ends: String,
    on: bool,
}

struct ProviderView {
    name: String,
    display: String,
    cap: String,
    on: bool,
    /// What cannot be undone once it is bought, in words.
    last: String,
    terms: Vec<TermsSeen>,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn, Query(code): Query<Code>) -> Result<Response, PageError> {
    let Some(text) = code.user_code.filter(|text| !text.is_empty()) else { return Ok(ask_code(&front, &session, None)) };
    let Ok(code) = text.parse::<UserCode>() else {
        return Ok(ask_code(&front, &session, Some("that is not a code: it has eight letters, such as WDJB-MJHT".to_owned())));
    };
    let now = front.realm.env.now();
    let find =
        move |tx: &mut purser_db::Tx<'_>| Ok::<_, DbError>((by_user_code(tx, &code, now)?, device_sign_on_by_user_code(tx, &code, now)?));
    let decided = || PageError::new(StatusCode::CONFLICT, "request_decided", "this request was decided before");
    match front.core.db.read(find).await? {
        (Some(request), _) if request.state == RequestState::Pending => show(&front, &session, &request, None, None).await,
        (_, Some(request)) if request.is_pending() => super::sign_on::show(&front, &session, &request, None).await,
        (Some(request), _) if request.state != RequestState::Expired => Err(decided()),
        (_, Some(request)) if request.is_decided() => Err(decided()),
        (Some(request), _) => {
            let at = request.expires_at.for_people();
            let wrong = format!("this request ran out at {at}, and nothing of it can be accepted any more; ask again in the terminal");
            Ok(ask_code(&front, &session, Some(wrong)))
        }
        _ => Ok(ask_code(&front, &session, Some("no request with this code waits; it may have run out".to_owned()))),
    }
}

fn ask_code(front: &Front, session: &Session, wrong: Option<String>) -> Response {
    let status = if wrong.is_some() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    Page(status, CodePage { ctx: PageContext::of(front, session, "Connect a terminal"), wrong }).into_response()
}

/// The page for one pending request; `wrong` says why an earlier decision was not taken, and `sent` is the form as it was then.
pub async fn show(
    front: &Front,
    session: &Session,
    request: &GrantRequest,
    sent: Option<&Pairs>,
    wrong: Option<String>,
) -> Result<Response, PageError> {
    let facts = facts_of(front, session, request).await?;
    let agent = match &request.asker {
        Asker::Agent(asked) => Some(agent_view(front, super::may_add_card(front, session), asked, &facts, sent)),
        Asker::Person => None,
    };
    let id = request.id.clone();
    let application = front
        .core
        .db
        .read(move |tx| of_grant_request(tx, &id))
        .await?
        .map(|pending| Application { client: pending.asked.client.to_string(), goes_to: pending.asked.redirect_uri.shown() });
    let title = if agent.is_some() { "Let an agent act for you?" } else { "Let your terminal in?" };
    let request = RequestView {
        id: request.id.to_string(),
        user_code: request.user_code.to_string(),
        // there is no terminal whose code could be compared
        typed: !front.sandbox && application.is_none(),
        application,
        name: request.name.to_string(),
        fingerprint: request.jkt.clone(),
        peer: request.peer.clone(),
        at: request.created_at.for_people(),
        until: request.expires_at.for_people(),
        seen: seen_digest(request, &facts).to_string(),
    };
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let ctx = PageContext::of(front, session, title);
    let standing = if agent.is_some() { budgets::standing(front, session).await? } else { Vec::new() };
    // Said before somebody has read and chosen everything in vain.
    let wrong = wrong.or_else(|| {
        let Member { organisation, role, .. } = &session.member;
        (!could::<GrantDecide>(&session.caller())).then(|| {
            format!("In the organisation “{}” you are {role}, and that role lets no agent act. Switch to another organisation, or ask an owner.", organisation.name)
        })
    });
    Ok(Page(status, ConsentPage { ctx, request, agent, standing, wrong }).into_response())
}

/// The facts that the page shows, as they are now.
pub async fn facts_of(front: &Front, session: &Session, request: &GrantRequest) -> Result<ConsentFacts, PageError> {
    let Asker::Agent(asked) = &request.asker else { return Ok(ConsentFacts::default()) };
    let (organisation, asked) = (session.member.organisation.id.clone(), asked.clone());
    Ok(front.core.db.read(move |tx| consent_facts(tx, &organisation, &asked)).await?)
}

/// What was on the page: a decision over anything else is not taken.
pub fn seen_digest(request: &GrantRequest, facts: &ConsentFacts) -> Sha256Digest {
    let terms: Vec<&TermsSeen> = facts.providers.iter().flat_map(|p| &p.terms).collect();
    let seen = serde_json::json!({ "request": request.id, "jkt": request.jkt, "terms": terms, "pays": facts.payment_method });
    Sha256Digest::of(seen.to_string().as_bytes())
}

fn agent_view(front: &Front, may_add_card: bool, asked: &AskedScope, facts: &ConsentFacts, sent: Option<&Pairs>) -> AgentView {
    let known = |name: &ProviderName| facts.providers.iter().any(|p| p.name == *name);
    let cap_at = |name: &ProviderName| asked.caps.get(name).copied().unwrap_or(asked.cap);
    let worst = facts.providers.iter().fold(0_i64, |sum, p| sum.saturating_add(cap_at(&p.name).minor()));
    let text = |name: &str, usual: String| sent.map_or(usual, |sent| field(sent, name).unwrap_or_default().to_owned());
    let on = |name: &str, value: &str| sent.is_none_or(|sent| sent.iter().any(|(n, v)| n == name && v == value));
    let providers = facts.providers.iter().map(|p| ProviderView {
        name: p.name.to_string(),
        display: p.display.clone(),
        cap: text(&format!("cap_{}", p.name), asked.caps.get(&p.name).map(|cap| cap.decimal()).unwrap_or_default()),
        on: on("provider", p.name.as_str()),
        last: p.irreversible.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        terms: p.terms.clone(),
    });
    AgentView {
        reaches: vec![
            reach("In these projects", "project", &asked.projects, sent, |name| facts.new_projects.contains(name)),
            reach("In these environments", "environment", &asked.environments, sent, |name| facts.new_environments.contains(name)),
            reach("With these services", "service", &asked.services, sent, |_| false),
        ],
        lives: lives(front, asked, sent),
        actions: grantable()
            .filter(|name| asked.actions.named().any(|asked| asked == name))
            .map(|name| (words(name), name.to_owned()))
            .collect(),
        providers: providers.collect(),
        unknown: asked.providers.named().filter(|p| !known(p)).map(ToString::to_string).collect(),
        cap: text("cap", asked.cap.decimal()),
        total: text("total", asked.total.map(|total| total.decimal()).unwrap_or_default()),
        total_asked: asked.total.is_some(),
        currency: asked.cap.currency().code(),
        worst: Money::from_minor(worst, asked.cap.currency()).to_string(),
        many: facts.providers.len(),
        irreversible: asked.irreversible,
        irreversible_on: on("irreversible", "1"),
        export: asked.export,
        export_on: on("export", "1"),
        delegate: asked.delegate,
        delegate_on: on("delegate", "1"),
        payment_method: facts.payment_method.clone(),
        cards: if may_add_card { SandboxCard::ALL.to_vec() } else { Vec::new() },
    }
}

fn reach<T: Ord + ToString>(
    legend: &'static str,
    name: &'static str,
    asked: &Reach<T>,
    sent: Option<&Pairs>,
    is_new: impl Fn(&T) -> bool,
) -> ReachView {
    let on = |value: &String| sent.is_none_or(|sent| sent.iter().any(|(n, v)| n == name && v == value));
    let names = asked.named().map(|one| (one.to_string(), is_new(one))).map(|(text, new)| NameView { on: on(&text), text, new });
    let typed = sent.and_then(|sent| field(sent, &format!("{name}_only"))).unwrap_or_default().to_owned();
    ReachView { legend, name, all: asked.is_all(), names: names.collect(), typed }
}

/// What was asked for, and what is shorter.
fn lives(front: &Front, asked: &AskedScope, sent: Option<&Pairs>) -> Vec<LifeView> {
    let chosen = sent.and_then(|sent| field(sent, "life")?.parse().ok()).unwrap_or(asked.life_s);
    let shorter = SHORTER_S.into_iter().filter(|seconds| *seconds < asked.life_s);
    let view = |seconds: i64| LifeView {
        seconds,
        words: life_words(seconds),
        ends: front.realm.env.now().plus_secs(seconds).for_people(),
        on: seconds == chosen,
    };
    shorter.chain([asked.life_s]).map(view).collect()
}

fn life_words(seconds: i64) -> String {
    let of = |n: i64, unit: &str| format!("{n} {unit}{}", if n == 1 { "" } else { "s" });
    match seconds {
        s if s % 86_400 == 0 => of(s / 86_400, "day"),
        s if s % 3_600 == 0 => of(s / 3_600, "hour"),
        s if s % 60 == 0 => of(s / 60, "minute"),
        s => of(s, "second"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_said_in_its_largest_whole_unit() {
        let said = [86_400, 2_592_000, 7_200, 90, 120].map(life_words);
        assert_eq!(said, ["1 day", "30 days", "2 hours", "90 seconds", "2 minutes"]);
    }
}
