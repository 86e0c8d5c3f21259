//! `link_request`: an orchestrator asks for an account whose owner must agree. Nothing is made or changed but the request itself.

use purser_crypto::token;
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{CloudLinkRequestId, CloudSessionId};
use purser_values::name::Email;
use purser_values::{Secret, Timestamp};

use super::scope::Scopes;
use super::state_digest;
use crate::account::Owner;
use crate::limits::{LINK_REQUEST_LIFE_S, LINK_REQUESTS_PER_ADDRESS_HOUR, LINK_REQUESTS_PER_SUBJECT_HOUR, STATE_CHARS};
use crate::person::find::person_find;
use crate::realm::{MailError, Realm};
use crate::suspension::{Bears, is_suspended};

/// The prefix of states that we mint.
const STATE: &str = "slp_ls";
const HOUR_S: i64 = 3_600;

/// What is asked, as far as it was proved.
#[derive(Clone, Debug)]
pub struct LinkAsk {
    pub owner: Owner,
    /// Thumbprint of the orchestrator's key that attested it.
    pub key: Option<String>,
    pub email: Email,
    pub organisation: String,
    pub agent: Option<String>,
    pub scopes: Scopes,
    /// The orchestrator's id of its account request.
    pub request: Option<String>,
    /// PKCE challenge (S256).
    pub challenge: Option<String>,
    /// The orchestrator's own secret, which becomes the browser's `state` when it is long enough.
    pub confirmation: Option<Secret<String>>,
    pub expires_at: Option<Timestamp>,
}

/// A request that waits for its decision.
#[derive(Clone, Debug)]
pub struct LinkRequest {
    pub id: CloudLinkRequestId,
    pub owner: Owner,
    pub key: Option<String>,
    pub email: Email,
    pub organisation: String,
    pub agent: Option<String>,
    pub scopes: Scopes,
    pub request: Option<String>,
    pub challenge: Option<String>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// The browser session that was shown the page last, which alone may decide.
    pub session: Option<CloudSessionId>,
}

#[derive(Debug, thiserror::Error)]
pub enum LinkRequestError {
    #[error("too many connections were asked for with this address or by this organisation; wait before the next")]
    TooMany { retry_after_s: u32 },
    /// The operator stopped the orchestrator that asks.
    #[error("slipway's operator has suspended this; write to the address in the terms of service")]
    Suspended,
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// Records the request and tells the owner; gives the state of the page. What the same subject asked before is over.
///
/// # Errors
/// When too much is asked, or the store fails.
pub fn link_request(tx: &mut Tx<'_>, realm: &Realm, ask: &LinkAsk) -> Result<Secret<String>, LinkRequestError> {
    let (now, owner) = (realm.env.now(), &ask.owner);
    if is_suspended(tx, Bears { orchestrator: Some(&owner.issuer), ..Bears::default() })? {
        return Err(LinkRequestError::Suspended);
    }
    refuse_too_many(tx, ask, now)?;
    let replace = "update cloud_link_request set outcome = 'replaced', decided_at = $4, state = id
                   where issuer = $1 and subject = $2 and attested = $3 and outcome is null";
    tx.execute(replace, params![owner.issuer, owner.subject, owner.attested, now])?;
    let state = state(tx, realm, ask)?;
    let life = now.plus_secs(LINK_REQUEST_LIFE_S);
    let expires_at = ask.expires_at.map_or(life, |at| at.min(life));
    let mailed_at = tell(tx, realm, ask, now)?;
    let insert = "insert into cloud_link_request (id, state, issuer, subject, attested, email, organisation, agent, scopes, request,
                      challenge, created_at, expires_at, mailed_at, key)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
    let values = params![
        CloudLinkRequestId::mint(&realm.env),
        state_digest(state.expose()),
        owner.issuer,
        owner.subject,
        owner.attested,
        ask.email,
        ask.organisation,
        ask.agent,
        ask.scopes.to_string(),
        ask.request,
        ask.challenge,
        now,
        expires_at,
        mailed_at,
        ask.key
    ];
    tx.execute(insert, values)?;
    Ok(state)
}

fn refuse_too_many(tx: &mut Tx<'_>, ask: &LinkAsk, now: Timestamp) -> Result<(), LinkRequestError> {
    let count = "select
        (select count(*) from cloud_link_request where email = $1 and created_at > $4) as by_address,
        (select count(*) from cloud_link_request where issuer = $2 and subject = $3 and created_at > $4) as by_subject";
    let row = tx.query_one(count, params![ask.email, ask.owner.issuer, ask.owner.subject, now.plus_secs(-HOUR_S)])?;
    let over =
        row.get::<i64>("by_address")? >= LINK_REQUESTS_PER_ADDRESS_HOUR || row.get::<i64>("by_subject")? >= LINK_REQUESTS_PER_SUBJECT_HOUR;
    if over { Err(LinkRequestError::TooMany { retry_after_s: 600 }) } else { Ok(()) }
}

/// The orchestrator's secret when nobody could guess it and it was not used before, otherwise our own.
fn state(tx: &mut Tx<'_>, realm: &Realm, ask: &LinkAsk) -> Result<Secret<String>, DbError> {
    if let Some(own) = ask.confirmation.as_ref().filter(|own| is_state(own.expose())) {
        let used = "select 1 as one from cloud_link_request where state = $1";
        if tx.query_opt(used, params![state_digest(own.expose())])?.is_none() {
            return Ok(own.clone());
        }
    }
    Ok(token::mint(&realm.env, STATE).0)
}

fn is_state(text: &str) -> bool {
    STATE_CHARS.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Tells the owner, once an hour for one subject.
fn tell(tx: &mut Tx<'_>, realm: &Realm, ask: &LinkAsk, now: Timestamp) -> Result<Option<Timestamp>, LinkRequestError> {
    let told = "select 1 as one from cloud_link_request where email = $1 and issuer = $2 and subject = $3 and mailed_at > $4 limit 1";
    let lately = now.plus_secs(-HOUR_S);
    let told = tx.query_opt(told, params![ask.email, ask.owner.issuer, ask.owner.subject, lately])?.is_some();
    // who owns nothing here has nothing to be warned about
    if told || person_find(tx, &ask.email)?.is_none() {
        return Ok(None);
    }
    let text = format!(
        "The orchestrator {issuer} asks to be connected with a slipway account of yours, for the organisation\n\n    {organisation}\n\n\
         Nothing was connected or changed. Only you can agree: open the address that your agent shows you, within ten minutes.\n\
         If you expect nothing of the kind, do nothing. What is connected now is on {base}connections\n",
        issuer = ask.owner.issuer,
        organisation = ask.organisation,
        base = realm.public_url,
    );
    realm.mail(tx, &ask.email, "An orchestrator asks to be connected with your slipway account", text)?;
    Ok(Some(now))
}

/// The request behind a state, while it can be decided.
///
/// # Errors
/// When the store fails.
pub fn link_request_find(tx: &mut Tx<'_>, now: Timestamp, state: &str) -> Result<Option<LinkRequest>, DbError> {
    let select = "select * from cloud_link_request where state = $1 and outcome is null and expires_at > $2";
    tx.query_opt(select, params![state_digest(state), now])?.map(|row| read(&row)).transpose()
}

/// Ties a request to the browser session that is shown its page: no other may decide.
///
/// # Errors
/// When the store fails.
pub fn link_request_bind(tx: &mut Tx<'_>, request: &CloudLinkRequestId, session: &CloudSessionId) -> Result<(), DbError> {
    tx.execute("update cloud_link_request set session = $2 where id = $1 and outcome is null", params![request, session]).map(drop)
}

pub(crate) fn read(row: &Row) -> Result<LinkRequest, DbError> {
    Ok(LinkRequest {
        id: row.parse("id")?,
        owner: Owner { issuer: row.get("issuer")?, subject: row.get("subject")?, attested: row.get("attested")? },
        key: row.get("key")?,
        email: row.parse("email")?,
        organisation: row.get("organisation")?,
        agent: row.get("agent")?,
        scopes: row.parse("scopes")?,
        request: row.get("request")?,
        challenge: row.get("challenge")?,
        created_at: row.get("created_at")?,
        expires_at: row.get("expires_at")?,
        session: row.parse_opt("session")?,
    })
}
