//! `/sign-in/sso/{name}`: to a company that says who somebody is, and back.
//!
//! A person is sent there by a form of ours only, and comes back to an address that is that company's alone, in the browser that
//! was sent. Where they came for something else than to sign in, the session must still be the one that asked.

mod refused;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, StatusCode};
use purser_authority::action::{SignIn, SsoLink, StepUp};
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_identity::parameters::Parameters;
use purser_identity::passkey::{AssertionAnswer, PasskeyError};
use purser_identity::session::{Place, Session};
use purser_identity::sso::{
    Begin, Connection, Let, Pending, Proof, Purpose, SsoError, Vouched, pending_methods, pending_open, pending_options, pending_seal,
    sso_begin, sso_link, sso_return,
};
use purser_identity::step_up::Methods;
use purser_identity::totp::TotpError;
use purser_provisioning::{SsoProven, perform, sso_prove, sso_sign_in};
use purser_values::Secret;
use purser_values::id::SessionId;
use purser_values::name::ConnectionName;
use serde::Deserialize;

use super::failure::PageError;
use super::form::{self, OpenForm, open_token};
use super::named::capitalised;
use super::page::{Page, PageContext};
use super::sign_in::{browser_name, let_in, put};
use super::step_up::{self, Going};
use super::tries::wrong_app_code;
use super::{browser, cookie, next, script, session};
use crate::front::Front;
use crate::peer::Peer;
use crate::sso::Account;

pub use refused::get as refused;

/// Longest code or state that is read, in bytes.
const PARAMETER_BYTES: usize = 4_096;
/// Longest way on that is kept while a person is away, in bytes: a form that waits for a step-up.
const GOING_BYTES: usize = 24 * 1024;

#[derive(Template)]
#[template(path = "sso_leave.html")]
struct LeavePage {
    ctx: PageContext,
    label: String,
    to: String,
}

#[derive(Template)]
#[template(path = "sso_prove.html")]
struct ProvePage {
    ctx: PageContext,
    label: String,
    email: String,
    methods: Methods,
    /// What a passkey is asked for with.
    options: String,
    /// What the company said, sealed for this browser.
    pending: String,
    next: String,
    wrong: Option<String>,
}

#[derive(Deserialize)]
pub struct To {
    next: Option<String>,
    /// Present where the account of before did not do.
    another: Option<String>,
}

/// `/sign-in/sso/{name}`.
pub async fn begin(
    State(front): State<Front>,
    Path(name): Path<ConnectionName>,
    Peer(peer): Peer,
    headers: HeaderMap,
    OpenForm(form): OpenForm<To>,
) -> Result<Response, PageError> {
    let connection = front.realm.sso.find(&name).ok_or(SsoError::Unknown)?;
    let account = if form.another.is_some() { Account::Another } else { Account::Usual };
    leave_for(&front, &headers, peer, connection, next::safe(form.next.as_deref()).to_owned(), account).await
}

/// Sends a browser away to sign in.
pub async fn leave_for(
    front: &Front,
    headers: &HeaderMap,
    peer: String,
    connection: &Connection,
    next: String,
    account: Account<'_>,
) -> Result<Response, PageError> {
    leave(front, headers, peer, connection, For::SignIn, Going { next, resume: String::new() }, account).await
}

/// What a person goes there for.
#[derive(Clone, Copy)]
pub enum For<'a> {
    SignIn,
    StepUp(&'a Session),
    Link(&'a Session),
}

/// A page that goes there by itself: browsers hold a redirect after a form to the policy of the page that the form was on.
pub async fn leave(
    front: &Front,
    headers: &HeaderMap,
    peer: String,
    connection: &Connection,
    what: For<'_>,
    going: Going,
    account: Account<'_>,
) -> Result<Response, PageError> {
    let (ctx, caller) = match what {
        For::SignIn => (PageContext::anonymous(front, "Sign in"), Caller::Anonymous),
        For::StepUp(session) | For::Link(session) => (PageContext::of(front, session, "To your company"), session.caller()),
    };
    let session = match what {
        For::SignIn => None,
        For::StepUp(session) | For::Link(session) => Some(session.clone()),
    };
    let (link, verb) = match what {
        For::SignIn => (false, "sign_in"),
        For::StepUp(_) => (false, "step_up"),
        For::Link(_) => (true, "sso_link"),
    };
    let going = serde_json::json!(going).to_string();
    if going.len() > GOING_BYTES {
        return Err(PageError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the form is too long to be kept meanwhile"));
    }
    let (here, set) = browser::of(front, headers);
    let (realm, of, who) = (front.realm.clone(), connection.clone(), caller.clone());
    let begun = perform(&front.core, Attempt::new(verb, &caller, connection.name.as_str()), move |tx| {
        let facts = Facts::new(realm.env.now(), of.name.as_str());
        let begin = match &session {
            None => Begin::SignIn(authorise::<SignIn>(&who, &facts)?),
            Some(session) if link => Begin::Link(authorise::<SsoLink>(&who, &facts)?, session),
            Some(session) => Begin::StepUp(authorise::<StepUp>(&who, &facts)?, session),
        };
        sso_begin(tx, &realm, &of, &begin, &here, &peer, &going)
    })
    .await?;
    let to = front.sso.authorization_url(&front.realm, connection, &begun, account).await?;
    let mut response = Page::ok(LeavePage { ctx, label: connection.label.clone(), to: to.into() }).into_response();
    put(&mut response, set);
    Ok(response)
}

/// `/sign-in/sso/{name}/callback`: what the company's page sends the person back with. Whatever becomes of it, the browser goes on to
/// an address without code and state, which would otherwise stay in its history and on its screen.
pub async fn callback(
    State(front): State<Front>,
    Path(name): Path<ConnectionName>,
    RawQuery(query): RawQuery,
    Peer(peer): Peer,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let connection = front.realm.sso.find(&name).cloned().ok_or(SsoError::Unknown)?;
    let mut on = String::from("/");
    match came_back(&front, &connection, query.unwrap_or_default(), peer, &headers, &mut on).await {
        Err(PageError::Refused(refusal)) if refusal.code() != "step_up_required" => Ok(refused::leave(&front, &connection, &on, refusal)),
        came => came,
    }
}

/// `on` becomes where the person wanted to go, as soon as it is known.
async fn came_back(
    front: &Front,
    connection: &Connection,
    query: String,
    peer: String,
    headers: &HeaderMap,
    on: &mut String,
) -> Result<Response, PageError> {
    let name = connection.name.clone();
    let answer = Parameters::parse(query.as_bytes())?;
    let short = |name: &str| answer.get(name).filter(|value| value.len() <= PARAMETER_BYTES);
    let state = Secret::new(short("state").ok_or(SsoError::Over)?.to_owned());
    let here = browser::known(front, headers).ok_or(SsoError::Over)?;
    let (realm, of) = (front.realm.clone(), name.clone());
    let returned = perform(&front.core, Attempt::new("sign_in", &Caller::Anonymous, name.as_str()), move |tx| {
        let permit = authorise::<SignIn>(&Caller::Anonymous, &Facts::new(realm.env.now(), of.as_str()))?;
        sso_return(tx, &realm, &permit, &of, state.expose(), &here)
    })
    .await?;
    front.sso.check_issuer(&front.realm, connection, answer.get("iss")).await?;
    let code = match (short("code"), answer.get("error")) {
        (Some(code), None) => Secret::new(code.to_owned()),
        _ => return Err(SsoError::Refused.into()),
    };
    let vouched = front.sso.vouched(&front.realm, connection, &code, &returned).await;
    let going: Going = serde_json::from_str(&returned.going).map_err(|_| SsoError::Over)?;
    match returned.purpose {
        Purpose::SignIn => {
            next::safe(Some(&going.next)).clone_into(on);
            sign_in(front, headers, peer, connection.clone(), vouched?, on).await
        }
        Purpose::StepUp(id) => {
            let session = same_session(front, headers, &id).await?;
            step_up::by_company(front, &session, connection, vouched?, returned.began_at, &going).await
        }
        Purpose::Link(id) => link(front, same_session(front, headers, &id).await?, connection.clone(), vouched?).await,
    }
}

/// The session that the person went away with.
async fn same_session(front: &Front, headers: &HeaderMap, id: &SessionId) -> Result<Session, PageError> {
    let session = session::find(front, headers).await?.filter(|session| session.id == *id);
    Ok(session.ok_or(SsoError::Over)?)
}

async fn link(front: &Front, session: Session, connection: Connection, vouched: Vouched) -> Result<Response, PageError> {
    let realm = front.realm.clone();
    perform(&front.core, Attempt::new("sso_link", &session.caller(), connection.name.as_str()), move |tx| {
        let permit = authorise::<SsoLink>(&session.caller(), &Facts::new(realm.env.now(), connection.name.as_str()))?;
        sso_link(tx, &realm, &permit, &session, &connection, &vouched)
    })
    .await?;
    Ok(Redirect::to("/security").into_response())
}

async fn sign_in(
    front: &Front,
    headers: &HeaderMap,
    peer: String,
    connection: Connection,
    vouched: Vouched,
    on: &str,
) -> Result<Response, PageError> {
    let (realm, replaces, ticket) = (front.realm.clone(), cookie::read(front, headers, cookie::SESSION), next::ticket(on));
    let agent = browser_name(headers);
    let outcome = perform(&front.core, Attempt::new("sign_in", &Caller::Anonymous, connection.name.as_str()), move |tx| {
        let permit = authorise::<SignIn>(&Caller::Anonymous, &Facts::new(realm.env.now(), connection.name.as_str()))?;
        let replaces = replaces.as_ref().map(|cookie| cookie.expose().as_str());
        let place = Place { peer: Some(&peer), browser: agent.as_deref(), replaces };
        sso_sign_in(tx, &realm, &permit, &connection, &vouched, place, ticket.as_ref())
    });
    match outcome.await? {
        Let::In(signed_in) => Ok(let_in(front, &signed_in, on)),
        Let::Nowhere => Err(SsoError::NotAdmitted.into()),
        Let::Prove(pending) => prove_page(front, headers, pending, on, None).await,
    }
}

async fn prove_page(front: &Front, headers: &HeaderMap, pending: Pending, on: &str, wrong: Option<String>) -> Result<Response, PageError> {
    let here = browser::known(front, headers).ok_or(SsoError::Over)?;
    let label = front.realm.sso.find(&pending.vouched.facts.connection).ok_or(SsoError::Unknown)?.label.clone();
    let (realm, of) = (front.realm.clone(), pending.clone());
    let methods = front.core.db.read(move |tx| pending_methods(tx, &realm, &of)).await?;
    let (mine, set) = form::browser(front, headers);
    let mut ctx = PageContext::anonymous(front, "Is this login yours?");
    ctx.csrf = open_token(front, &mine);
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = ProvePage {
        ctx,
        label,
        email: pending.vouched.email.to_string(),
        methods,
        options: pending_options(&front.realm, &mine).to_string(),
        pending: pending_seal(&front.realm, &here, pending)?,
        next: on.to_owned(),
        wrong,
    };
    let mut response = Page(status, page).into_response();
    put(&mut response, set);
    Ok(script::allow(front, response))
}

#[derive(Deserialize)]
pub struct ProveForm {
    pending: String,
    next: Option<String>,
    answer: Option<String>,
    code: Option<String>,
}

/// `/sign-in/prove`: the login that exists is the person's.
pub async fn prove(
    State(front): State<Front>,
    Peer(peer): Peer,
    headers: HeaderMap,
    OpenForm(form): OpenForm<ProveForm>,
) -> Result<Response, PageError> {
    let on = next::safe(form.next.as_deref()).to_owned();
    let here = browser::known(&front, &headers).ok_or(SsoError::Over)?;
    let pending = pending_open(&front.realm, &here, &form.pending)?;
    let answer: Option<AssertionAnswer> = form.answer.map(|text| text.parse()).transpose().map_err(PasskeyError::from)?;
    let asked = cookie::read(&front, &headers, cookie::FORM).ok_or(SsoError::Over)?;
    let (realm, replaces, ticket) = (front.realm.clone(), cookie::read(&front, &headers, cookie::SESSION), next::ticket(&on));
    let (agent, kept) = (browser_name(&headers), pending.clone());
    let code = form.code.unwrap_or_default();
    let proven = perform(&front.core, Attempt::new("sign_in", &Caller::Anonymous, pending.person.as_str()), move |tx| {
        let permit = authorise::<SignIn>(&Caller::Anonymous, &Facts::new(realm.env.now(), kept.person.as_str()))?;
        let replaces = replaces.as_ref().map(|cookie| cookie.expose().as_str());
        let place = Place { peer: Some(&peer), browser: agent.as_deref(), replaces };
        let proof = answer.as_ref().map_or(Proof::App(&code), |answer| Proof::Passkey { form: asked.expose(), answer });
        sso_prove(tx, &realm, &permit, &kept, &proof, place, ticket.as_ref())
    });
    let wrong = match proven.await {
        Ok(SsoProven::Let(Let::In(signed_in))) => return Ok(let_in(&front, &signed_in, &on)),
        Ok(SsoProven::Let(Let::Nowhere | Let::Prove(_))) => return Err(SsoError::NotAdmitted.into()),
        Ok(SsoProven::Wrong { tries_left }) => wrong_app_code(tries_left),
        Err(SsoError::Totp(e @ TotpError::NotACode(_))) => capitalised(&e.to_string()),
        Err(e) => return Err(e.into()),
    };
    prove_page(&front, &headers, pending, &on, Some(wrong)).await
}
