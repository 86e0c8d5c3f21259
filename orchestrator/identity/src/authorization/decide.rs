//! `authorization_decide`: the person's answer goes back to the client, once.

use purser_authority::action::AuthorizationDecide;
use purser_authority::{Caller, Denied, Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::Sha256Digest;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{AuthorizationId, GrantRequestId};
use serde_json::json;

use super::code::{self, CodeFor, SignedInFacts};
use super::{Pending, Refusal, authorization_find, consent};
use crate::grant_request::{self, State};
use crate::realm::Realm;
use crate::session::Session;

#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error("this request was answered before, has run out, or belongs to another browser")]
    Over,
    #[error("the request for a grant is not decided yet")]
    Waiting,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for DecideError {
    fn code(&self) -> &'static str {
        match self {
            Self::Over => "authorization_over",
            Self::Waiting => "authorization_pending",
            Self::Denied(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Over | Self::Waiting => Kind::Conflict,
            Self::Denied(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Over => Some("go back to the application and start again".to_owned()),
            Self::Waiting => Some("accept or deny it first".to_owned()),
            Self::Denied(e) => e.hint(),
            Self::Db(_) => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    Accept,
    Deny,
}

/// Where the browser goes on to.
#[derive(Clone, Debug)]
pub struct Answer {
    pub location: String,
}

/// Answers the request that the permit is for. A request for a grant is answered by how the grant was decided.
///
/// # Errors
/// See [`DecideError`].
pub fn authorization_decide(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<AuthorizationDecide>,
    browser: &Sha256Digest,
    session: &Session,
    choice: Choice,
) -> Result<Done<Answer>, DecideError> {
    let pending = take(tx, realm, permit.subject(), browser)?;
    let asked = &pending.asked;
    let what = match (&pending.grant_request, choice) {
        (Some(request), _) => match grant_code(tx, realm, permit, request)? {
            Some(what) => what,
            None => return Ok(denied(realm, permit.caller(), &pending)),
        },
        (None, Choice::Deny) => return Ok(denied(realm, permit.caller(), &pending)),
        (None, Choice::Accept) => {
            consent::remember(tx, &session.member.person.id, asked, realm.env.now())?;
            CodeFor::SignOn(SignedInFacts::of(tx, session, asked.scope.clone(), asked.nonce.clone())?)
        }
    };
    let code = code::mint(tx, realm, &pending, what)?;
    let event = Event::done(permit.verb(), permit.caller(), pending.id.as_str())
        .related([asked.client.as_str()])
        .with(json!({ "decision": "accept", "client": asked.client, "client_name": asked.client_name, "scope": asked.scope }));
    Ok(Done::with_event(Answer { location: asked.answer(&realm.issuer, &[("code", code.expose())]) }, event))
}

/// Answers with a refusal that is not the person's: they would have to be asked, and must not be.
///
/// # Errors
/// [`DecideError::Over`].
pub fn authorization_refuse(
    tx: &mut Tx<'_>,
    realm: &Realm,
    id: &AuthorizationId,
    browser: &Sha256Digest,
    refusal: &Refusal,
) -> Result<Done<Answer>, DecideError> {
    let pending = take(tx, realm, id.as_str(), browser)?;
    Ok(Done::quiet(Answer { location: pending.asked.refuse(&realm.issuer, refusal) }))
}

/// The authorization request behind a grant request, for the page on which the person decided.
///
/// # Errors
/// When the store fails.
pub fn of_grant_request(tx: &mut Tx<'_>, request: &GrantRequestId) -> Result<Option<Pending>, DbError> {
    tx.query_opt("select * from authorization_request where grant_request = $1", params![request])?
        .map(|row| super::begin::read(&row))
        .transpose()
}

/// What a decided grant request gives: a code for the grant, or nothing. Only the person who decided brings the answer back.
fn grant_code(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<AuthorizationDecide>,
    request: &GrantRequestId,
) -> Result<Option<CodeFor>, DecideError> {
    let found = grant_request::by_id(tx, request, realm.env.now())?.ok_or(DecideError::Over)?;
    match found.state {
        State::Pending => Err(DecideError::Waiting),
        State::Granted { grant } => {
            let made = crate::grant::find(tx, &grant)?.ok_or(DecideError::Over)?;
            if permit.caller().person() != Some(&made.person) {
                return Err(DecideError::Over);
            }
            Ok(Some(CodeFor::Grant { grant, request: request.clone() }))
        }
        _ => Ok(None),
    }
}

fn denied(realm: &Realm, caller: &Caller, pending: &Pending) -> Done<Answer> {
    let asked = &pending.asked;
    let event = Event::done("authorization_decide", caller, pending.id.as_str())
        .related([asked.client.as_str()])
        .with(json!({ "decision": "deny", "client": asked.client, "client_name": asked.client_name }));
    let refusal = Refusal::new("access_denied", "the person said no");
    Done::with_event(Answer { location: asked.refuse(&realm.issuer, &refusal) }, event)
}

/// The request, marked as answered; of two answers at once one wins.
fn take(tx: &mut Tx<'_>, realm: &Realm, id: &str, browser: &Sha256Digest) -> Result<Pending, DecideError> {
    let (id, now): (AuthorizationId, _) = (id.parse().map_err(|_| DecideError::Over)?, realm.env.now());
    let pending = authorization_find(tx, &id, browser, now)?.ok_or(DecideError::Over)?;
    let answer = "update authorization_request set answered_at = $2 where id = $1 and answered_at is null";
    if tx.execute(answer, params![id, now])? == 1 { Ok(pending) } else { Err(DecideError::Over) }
}
