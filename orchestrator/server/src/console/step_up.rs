//! `/step-up`: proving once more that it is oneself, and going on where one was.
//!
//! Whatever page or form answers `step_up_required` leads here by itself ([`ask`], called by the layer that renders refusals).

mod company;
mod resume;

pub(super) use company::by_company;
pub use company::sso;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use http::{HeaderMap, Method, StatusCode, header};
use purser_authority::action::StepUp as StepUpAction;
use purser_authority::{Attempt, Facts, Permit, STEP_UP_S, authorise};
use purser_db::DbError;
use purser_http::extract::Query;
use purser_http::extract::Raw;
use purser_identity::passkey::{AssertionAnswer, PasskeyError};
use purser_identity::recovery::{Recovery, recovery_code_send, recovery_finish, recovery_of, recovery_start};
use purser_identity::session::Session;
use purser_identity::sign_in::CodeUseError;
use purser_identity::sso::confirming;
use purser_identity::step_up::{
    Methods, StepUp, StepUpError, SteppedUp, methods, step_up_code_send, step_up_code_use, step_up_passkey, step_up_passkey_options,
    step_up_totp,
};
use purser_identity::totp::TotpError;
use purser_provisioning::perform;
use purser_values::limits::SESSION_LIFE_S;
use serde::{Deserialize, Serialize};

use self::resume::{FORM_BYTES, Resume};
use super::failure::PageError;
use super::form::SignedForm;
use super::named::capitalised;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use super::sign_in::Company;
use super::tries::{wrong_app_code, wrong_code};
use super::{cookie, next, script, session};
use crate::front::Front;

#[derive(Template)]
#[template(path = "step_up.html")]
struct StepUpPage {
    ctx: PageContext,
    methods: Methods,
    /// What a passkey is asked for with.
    options: String,
    /// The companies that can say that it is the person.
    companies: Vec<Company>,
    recovery: RecoveryView,
    /// Whether a recovery is a way at all: it is none where only a company signs in.
    recoverable: bool,
    /// Whether a code is on its way.
    sent: bool,
    wrong: Option<String>,
    going: Going,
}

enum RecoveryView {
    None,
    Waiting(String),
    Ready,
}

#[derive(Template)]
#[template(path = "step_up_done.html")]
struct DonePage {
    ctx: PageContext,
    form: Resume,
}

/// Where the person goes on to: a page, or a form that is kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Going {
    #[serde(default)]
    pub(super) next: String,
    #[serde(default)]
    pub(super) resume: String,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn, Query(going): Query<Going>) -> Result<Response, PageError> {
    let next = next::safe(Some(&going.next)).to_owned();
    let now = front.realm.env.now();
    if session.present_at.is_some_and(|at| at <= now && now < at.plus_secs(STEP_UP_S)) {
        return Ok(Redirect::to(&next).into_response());
    }
    page(&front, &session, Going { next, resume: String::new() }, false, None, StatusCode::OK).await
}

/// `/step-up/mail`: a code by mail.
pub async fn mail(State(front): State<Front>, signed: SignedForm<Going>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (realm, of) = (front.realm.clone(), session.clone());
    perform(&front.core, attempt(&session), move |tx| step_up_code_send(tx, &realm, permit(&realm.env, &of)?, &of)).await?;
    page(&front, &session, form, true, None, StatusCode::OK).await
}

#[derive(Deserialize)]
pub struct PasskeyForm {
    answer: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    resume: String,
}

/// `/step-up/passkey`.
pub async fn passkey(State(front): State<Front>, signed: SignedForm<PasskeyForm>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let answer: AssertionAnswer = form.answer.parse().map_err(PasskeyError::from)?;
    let (realm, of) = (front.realm.clone(), session.clone());
    let stepped =
        perform(&front.core, attempt(&session), move |tx| step_up_passkey(tx, &realm, permit(&realm.env, &of)?, &of, &answer)).await?;
    Ok(go_on(&front, &stepped, &Going { next: form.next, resume: form.resume }))
}

/// `/step-up/app`: a code of the app, or a recovery code.
pub async fn app(State(front): State<Front>, signed: SignedForm<CodeForm>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (realm, of) = (front.realm.clone(), session.clone());
    let code = form.code;
    let used = perform(&front.core, attempt(&session), move |tx| step_up_totp(tx, &realm, permit(&realm.env, &of)?, &of, &code)).await;
    tried(&front, &session, used, Going { next: form.next, resume: form.resume }, false).await
}

/// `/step-up/recovery`: passkeys and app are lost.
pub async fn recovery(State(front): State<Front>, signed: SignedForm<Going>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (realm, of) = (front.realm.clone(), session.clone());
    perform(&front.core, attempt(&session), move |tx| recovery_start(tx, &realm, permit(&realm.env, &of)?, &of)).await?;
    page(&front, &session, form, false, None, StatusCode::OK).await
}

/// `/step-up/recovery/mail`: the code that finishes it.
pub async fn recovery_mail(State(front): State<Front>, signed: SignedForm<Going>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (realm, of) = (front.realm.clone(), session.clone());
    perform(&front.core, attempt(&session), move |tx| recovery_code_send(tx, &realm, permit(&realm.env, &of)?, &of)).await?;
    page(&front, &session, form, true, None, StatusCode::OK).await
}

/// `/step-up/recovery/code`.
pub async fn recovery_code(State(front): State<Front>, signed: SignedForm<CodeForm>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (realm, of) = (front.realm.clone(), session.clone());
    let code = form.code;
    let used = perform(&front.core, attempt(&session), move |tx| recovery_finish(tx, &realm, permit(&realm.env, &of)?, &of, &code)).await;
    tried(&front, &session, used, Going { next: form.next, resume: form.resume }, true).await
}

#[derive(Deserialize)]
pub struct CodeForm {
    code: String,
    #[serde(default)]
    next: String,
    #[serde(default)]
    resume: String,
}

/// `/step-up/code`: the code from the mail.
pub async fn code(State(front): State<Front>, signed: SignedForm<CodeForm>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let (realm, of) = (front.realm.clone(), session.clone());
    let code = form.code;
    let used = perform(&front.core, attempt(&session), move |tx| step_up_code_use(tx, &realm, permit(&realm.env, &of)?, &of, &code)).await;
    tried(&front, &session, used, Going { next: form.next, resume: form.resume }, true).await
}

/// The page after a code: on, or the same page with what is wrong.
async fn tried(
    front: &Front,
    session: &Session,
    used: Result<StepUp, StepUpError>,
    going: Going,
    sent: bool,
) -> Result<Response, PageError> {
    let (wrong, sent) = match used {
        Ok(StepUp::Done(stepped)) => return Ok(go_on(front, &stepped, &going)),
        // what was mailed is over then, and the page offers a new one
        Ok(StepUp::Wrong { tries_left }) if sent => (wrong_code(tries_left), tries_left > 0),
        Ok(StepUp::Wrong { tries_left }) => (wrong_app_code(tries_left), false),
        Err(e @ (StepUpError::Use(CodeUseError::NotACode(_)) | StepUpError::Totp(TotpError::NotACode(_)))) => {
            (capitalised(&e.to_string()), sent)
        }
        Err(e) => return Err(e.into()),
    };
    page(front, session, going, sent, Some(wrong), StatusCode::UNPROCESSABLE_ENTITY).await
}

/// The way on after a proof: to the page, or to the form that is kept, which the person sends with one press.
fn go_on(front: &Front, stepped: &SteppedUp, going: &Going) -> Response {
    let mut response = match resume::open(front, &stepped.session, &going.resume) {
        Some(form) => Page::ok(DonePage { ctx: PageContext::of(front, &stepped.session, "One more step"), form }).into_response(),
        None => Redirect::to(next::safe(Some(&going.next))).into_response(),
    };
    if let Some(cookie) = cookie::set(front, cookie::SESSION, stepped.cookie.expose(), SESSION_LIFE_S) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

async fn page(
    front: &Front,
    session: &Session,
    going: Going,
    sent: bool,
    wrong: Option<String>,
    status: StatusCode,
) -> Result<Response, PageError> {
    let (realm, of) = (front.realm.clone(), session.clone());
    let looked = front.core.db.read::<_, DbError, _>(move |tx| {
        let person = &of.member.person.id;
        let recovery = recovery_of(tx, person, realm.env.now())?;
        let companies: Vec<Company> = confirming(tx, &realm, person)?.into_iter().map(Company::from).collect();
        Ok((methods(tx, &realm, person)?, step_up_passkey_options(tx, &realm, &of)?.to_string(), companies, recovery))
    });
    let (methods, options, companies, recovery) = looked.await?;
    let recoverable = front.realm.sso.required_for(&session.member.person.email).is_none();
    let recovery = match recovery {
        Recovery::None => RecoveryView::None,
        Recovery::Waiting { ready_at } => RecoveryView::Waiting(ready_at.for_people()),
        Recovery::Ready { .. } => RecoveryView::Ready,
    };
    let ctx = PageContext::of(front, session, "Is it you?");
    let response = Page(status, StepUpPage { ctx, methods, options, companies, recovery, recoverable, sent, wrong, going }).into_response();
    Ok(if methods.passkey { script::allow(front, response) } else { response })
}

fn attempt(session: &Session) -> Attempt {
    Attempt::new("step_up", &session.caller(), session.member.person.id.as_str())
}

fn permit(env: &purser_values::Env, session: &Session) -> Result<Permit<StepUpAction>, StepUpError> {
    Ok(authorise::<StepUpAction>(&session.caller(), &Facts::new(env.now(), session.member.person.id.as_str()))?)
}

/// A request as it came, for the case that it is refused and has to be gone on with.
pub struct Sent {
    method: Method,
    path: String,
    headers: HeaderMap,
    form: Option<Bytes>,
}

/// Reads the body of a form, so that it can be kept, and hands the request on as it was.
///
/// # Errors
/// When the body cannot be read.
pub async fn sent(request: Request) -> Result<(Sent, Request), PageError> {
    let path = request.uri().path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let (method, headers) = (request.method().clone(), request.headers().clone());
    let is_form = method == Method::POST
        && headers.get(header::CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    if !is_form {
        return Ok((Sent { method, path, headers, form: None }, request));
    }
    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    let Raw(body) = Raw::from_request(whole, &()).await.map_err(|p| PageError::new(p.status, &p.code, &p.detail))?;
    Ok((Sent { method, path, headers, form: Some(body.clone()) }, Request::from_parts(parts, body.into())))
}

/// The step-up for a request that was refused for want of one.
///
/// # Errors
/// When nobody is signed in any more, or the store fails.
pub async fn ask(front: &Front, sent: Sent) -> Result<Response, PageError> {
    let session = session::find(front, &sent.headers).await?;
    let session = session.ok_or_else(|| PageError::SignIn { next: next::safe(Some(&sent.path)).to_owned() })?;
    let form = sent.form.filter(|form| form.len() <= FORM_BYTES);
    let fields = form.and_then(|form| serde_urlencoded::from_bytes::<Vec<(String, String)>>(form.as_ref()).ok());
    let Some(mut fields) = fields else {
        let back = if sent.method == Method::GET { next::safe(Some(&sent.path)) } else { "/" };
        let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", back).finish();
        return Ok(Redirect::to(&format!("/step-up?{query}")).into_response());
    };
    fields.retain(|(name, _)| name != "csrf");
    let resume = resume::seal(front, &session, Resume { path: sent.path, fields }).map_err(|e| StepUpError::Send(e.into()))?;
    page(front, &session, Going { next: "/".to_owned(), resume }, false, None, StatusCode::FORBIDDEN).await
}
