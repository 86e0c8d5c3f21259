//! One request to a company and its answer: begun, gone away with, and come back from, once.

use purser_authority::action::{SignIn, SsoLink, StepUp};
use purser_authority::{Denied, Done, Permit};
use purser_crypto::encoding::b64url;
use purser_crypto::token;
use purser_db::{Tx, params};
use purser_values::id::SessionId;
use purser_values::name::ConnectionName;
use purser_values::{Secret, Sha256Digest, Timestamp};

use super::{Connection, SsoError};
use crate::limits::{SSO_ATTEMPT_LIFE_S, SSO_ATTEMPTS_PER_PEER};
use crate::realm::Realm;
use crate::session::Session;

/// The prefix of states.
const STATE: &str = "pur_sx";

/// What a company is asked for, with the permit for it.
#[derive(Debug)]
pub enum Begin<'a> {
    SignIn(Permit<SignIn>),
    /// The person of this session proves to the company that it is they.
    StepUp(Permit<StepUp>, &'a Session),
    /// The person of this session shows which account at the company is theirs.
    Link(Permit<SsoLink>, &'a Session),
}

/// The same, as it is written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    SignIn,
    StepUp(SessionId),
    Link(SessionId),
}

impl Purpose {
    const fn parts(&self) -> (&'static str, Option<&SessionId>) {
        match self {
            Self::SignIn => ("sign_in", None),
            Self::StepUp(session) => ("step_up", Some(session)),
            Self::Link(session) => ("link", Some(session)),
        }
    }
}

/// What the request to the company carries.
#[derive(Debug)]
pub struct Begun {
    pub state: Secret<String>,
    pub nonce: String,
    /// The PKCE challenge (S256).
    pub challenge: String,
    /// Whether the company must ask who it is, although it may know.
    pub anew: bool,
}

/// Writes down that this browser is sent to the company. `going` is the caller's, for the way on.
///
/// # Errors
/// [`SsoError::TooMany`], or when the permit is not the session's person's.
pub fn sso_begin(
    tx: &mut Tx<'_>,
    realm: &Realm,
    connection: &Connection,
    begin: &Begin<'_>,
    browser: &Sha256Digest,
    peer: &str,
    going: &str,
) -> Result<Done<Begun>, SsoError> {
    let purpose = match begin {
        Begin::SignIn(_) => Purpose::SignIn,
        Begin::StepUp(permit, session) if permit.caller().person() == Some(&session.member.person.id) => {
            Purpose::StepUp(session.id.clone())
        }
        Begin::Link(permit, session) if permit.caller().person() == Some(&session.member.person.id) => Purpose::Link(session.id.clone()),
        Begin::StepUp(..) | Begin::Link(..) => return Err(Denied::NotFound.into()),
    };
    let now = realm.env.now();
    let count = "select count(*) as n from sso_attempt where peer = $1 and expires_at > $2 and used_at is null";
    if tx.query_one(count, params![peer, now])?.get::<i64>("n")? >= SSO_ATTEMPTS_PER_PEER {
        return Err(SsoError::TooMany);
    }
    let (state, digest) = token::mint(&realm.env, STATE);
    let (what, session) = purpose.parts();
    let insert = "insert into sso_attempt (state_hash, connection, purpose, session, browser, going, peer, created_at, expires_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let until = now.plus_secs(SSO_ATTEMPT_LIFE_S);
    tx.execute(insert, params![digest, connection.name, what, session, browser, going, peer, now, until])?;
    let challenge = b64url(Sha256Digest::of(verifier(realm, state.expose()).expose().as_bytes()).as_bytes());
    let nonce = nonce(realm, state.expose());
    Ok(Done::quiet(Begun { state, nonce, challenge, anew: purpose != Purpose::SignIn }))
}

/// A request whose answer has come.
#[derive(Debug)]
pub struct Returned {
    pub purpose: Purpose,
    pub going: String,
    pub began_at: Timestamp,
    pub nonce: String,
    /// The PKCE verifier.
    pub verifier: Secret<String>,
}

/// Uses the request up. What another browser brings, or for another company, leaves it as it is.
///
/// # Errors
/// [`SsoError::Over`].
pub fn sso_return(
    tx: &mut Tx<'_>,
    realm: &Realm,
    _permit: &Permit<SignIn>,
    connection: &ConnectionName,
    state: &str,
    browser: &Sha256Digest,
) -> Result<Done<Returned>, SsoError> {
    if !token::is_well_formed(state, STATE) {
        return Err(SsoError::Over);
    }
    let take = "update sso_attempt set used_at = $4
                where state_hash = $1 and connection = $2 and browser = $3 and used_at is null and expires_at > $4
                returning purpose, session, going, created_at";
    let row = tx.query_opt(take, params![token::hash(state), connection, browser, realm.env.now()])?.ok_or(SsoError::Over)?;
    let session: Option<SessionId> = row.parse_opt("session")?;
    let purpose = match (row.get::<String>("purpose")?.as_str(), session) {
        ("sign_in", None) => Purpose::SignIn,
        ("step_up", Some(session)) => Purpose::StepUp(session),
        ("link", Some(session)) => Purpose::Link(session),
        _ => return Err(SsoError::Over),
    };
    Ok(Done::quiet(Returned {
        purpose,
        going: row.get("going")?,
        began_at: row.get("created_at")?,
        nonce: nonce(realm, state),
        verifier: verifier(realm, state),
    }))
}

fn verifier(realm: &Realm, state: &str) -> Secret<String> {
    Secret::new(b64url(&realm.keys.mac("sso-verifier", &[state])))
}

fn nonce(realm: &Realm, state: &str) -> String {
    b64url(&realm.keys.mac("sso-nonce", &[state]))
}
