//! Sign-ons: one person signed in at one client, as it followed from one session here. A sign-on is the family of its tokens:
//! when it ends, they end with it, because every use of one looks here.

use purser_db::jobs::{self, NewJob};
use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{OrganisationId, PersonId, SessionId, SignOnId};
use purser_values::{Env, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::code::SignedInFacts;
use crate::client::{Client, ClientId};
use crate::limits::SIGN_ON_LIFE_S;
use crate::realm::Realm;
use crate::scope::{OFFLINE, Scope};

/// The job that tells a client of a logout (OpenID Connect Back-Channel Logout 1.0).
pub const LOGOUT_JOB: &str = "client_logout";

/// What a sign-on is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOnFacts {
    pub scope: Scope,
    /// The audience of its access tokens.
    pub audience: String,
    pub auth_time: Timestamp,
    pub acr: String,
    pub amr: Vec<String>,
    /// Where the client wants to hear of a logout.
    pub logout_uri: Option<Url>,
}

#[derive(Clone, Debug)]
pub struct SignOn {
    pub id: SignOnId,
    pub client: ClientId,
    pub person: PersonId,
    pub organisation: OrganisationId,
    pub facts: SignOnFacts,
    /// The key that its tokens are bound to; bearer tokens have none.
    pub jkt: Option<String>,
    pub expires_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// When the session that it followed from ended.
    pub session_ended_at: Option<Timestamp>,
}

impl SignOn {
    #[must_use]
    pub fn is_alive(&self, now: Timestamp) -> bool {
        self.ended_at.is_none() && now < self.expires_at && (self.session_ended_at.is_none() || self.goes_on_alone())
    }

    /// Whether the person allowed it to go on while they are away.
    #[must_use]
    pub fn goes_on_alone(&self) -> bool {
        self.facts.scope.contains(OFFLINE)
    }
}

/// What [`LOGOUT_JOB`] carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogoutJob {
    pub sign_on: SignOnId,
    pub client: ClientId,
    pub person: PersonId,
    pub uri: Url,
}

pub(crate) fn start(
    tx: &mut Tx<'_>,
    realm: &Realm,
    client: &Client,
    signed_in: &SignedInFacts,
    audience: String,
    jkt: Option<&str>,
) -> Result<SignOn, DbError> {
    let (id, now) = (SignOnId::mint(&realm.env), realm.env.now());
    let facts = SignOnFacts {
        scope: signed_in.scope.clone(),
        audience,
        auth_time: signed_in.auth_time,
        acr: signed_in.acr.clone(),
        amr: signed_in.amr.clone(),
        logout_uri: client.metadata.backchannel_logout_uri.clone(),
    };
    let expires_at = now.plus_secs(SIGN_ON_LIFE_S);
    let insert = "insert into sign_on (id, client, person, organisation, session, facts, jkt, started_at, expires_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let (person, organisation, session) = (&signed_in.person, &signed_in.organisation, &signed_in.session);
    tx.execute(insert, params![id, client.id.as_str(), person, organisation, session, json!(facts), jkt, now, expires_at])?;
    Ok(SignOn {
        id,
        client: client.id.clone(),
        person: person.clone(),
        organisation: organisation.clone(),
        facts,
        jkt: jkt.map(str::to_owned),
        expires_at,
        ended_at: None,
        session_ended_at: None,
    })
}

/// # Errors
/// When the store fails.
pub fn find(tx: &mut Tx<'_>, id: &SignOnId) -> Result<Option<SignOn>, DbError> {
    let select = "select sign_on.*, (select ended_at from session where session.id = sign_on.session) as session_ended_at
                  from sign_on where id = $1";
    let Some(row) = tx.query_opt(select, params![id])? else { return Ok(None) };
    Ok(Some(SignOn { session_ended_at: row.get("session_ended_at")?, ..read(&row)? }))
}

/// The sign-ons of a person that are alive, newest first.
pub(super) fn alive_of(tx: &mut Tx<'_>, person: &PersonId, now: Timestamp) -> Result<Vec<(SignOn, Timestamp)>, DbError> {
    let select = "select sign_on.*, (select ended_at from session where session.id = sign_on.session) as session_ended_at
                  from sign_on where person = $1 and ended_at is null and expires_at > $2 order by started_at desc, id";
    let rows = tx.query(select, params![person, now])?;
    let one = |row: &Row| -> Result<_, DbError> {
        Ok((SignOn { session_ended_at: row.get("session_ended_at")?, ..read(row)? }, row.get("started_at")?))
    };
    let mut all = rows.iter().map(one).collect::<Result<Vec<_>, _>>()?;
    all.retain(|(sign_on, _)| sign_on.is_alive(now));
    Ok(all)
}

fn read(row: &Row) -> Result<SignOn, DbError> {
    Ok(SignOn {
        id: row.parse("id")?,
        client: row.parse("client")?,
        person: row.parse("person")?,
        organisation: row.parse("organisation")?,
        facts: row.json("facts")?,
        jkt: row.get("jkt")?,
        expires_at: row.get("expires_at")?,
        ended_at: row.get("ended_at")?,
        session_ended_at: None,
    })
}

/// Ends one sign-on and with it all its tokens.
///
/// # Errors
/// When the store fails.
pub fn end(tx: &mut Tx<'_>, now: Timestamp, id: &SignOnId, why: &str) -> Result<(), DbError> {
    let update = "update sign_on set ended_at = $2, ended_why = $3 where id = $1 and ended_at is null";
    tx.execute(update, params![id, now, why]).map(drop)
}

pub(crate) fn end_of_client(tx: &mut Tx<'_>, now: Timestamp, client: &ClientId, why: &str) -> Result<(), DbError> {
    let update = "update sign_on set ended_at = $2, ended_why = $3 where client = $1 and ended_at is null";
    tx.execute(update, params![client.as_str(), now, why]).map(drop)
}

pub(crate) fn end_of_person_at(tx: &mut Tx<'_>, now: Timestamp, person: Option<&PersonId>, client: &str) -> Result<(), DbError> {
    let update = "update sign_on set ended_at = $3, ended_why = 'the person took the consent back'
                  where person = $1 and client = $2 and ended_at is null";
    tx.execute(update, params![person, client, now]).map(drop)
}

/// The session is over: its sign-ons end, except those that were allowed to go on while the person is away, and every client that
/// wants to hear of it is told (Back-Channel Logout 1.0, 2.7).
///
/// # Errors
/// When the store fails.
pub fn end_of_session(tx: &mut Tx<'_>, env: &Env, session: &SessionId) -> Result<(), DbError> {
    let rows = tx.query("select * from sign_on where session = $1 and logged_out_at is null", params![session])?;
    rows.iter().try_for_each(|row| log_out(tx, env, row))
}

/// The same for every session that ended in another way: signed out from elsewhere, replaced by another person's, disabled. Their
/// tokens count for nothing from that moment on; this tells the clients. Run it every minute or so.
///
/// # Errors
/// When the store fails.
pub fn log_out_ended(tx: &mut Tx<'_>, env: &Env) -> Result<(), DbError> {
    let select = "select sign_on.* from sign_on join session on session.id = sign_on.session
                  where sign_on.logged_out_at is null and session.ended_at is not null limit 500";
    tx.query(select, params![])?.iter().try_for_each(|row| log_out(tx, env, row))
}

fn log_out(tx: &mut Tx<'_>, env: &Env, row: &Row) -> Result<(), DbError> {
    let (now, sign_on) = (env.now(), read(row)?);
    if !sign_on.goes_on_alone() {
        end(tx, now, &sign_on.id, "the person signed out")?;
    }
    if let Some(uri) = sign_on.facts.logout_uri {
        let told = LogoutJob { sign_on: sign_on.id.clone(), client: sign_on.client, person: sign_on.person, uri };
        let dedupe = Some(format!("{LOGOUT_JOB}:{}", sign_on.id));
        jobs::enqueue(tx, env, &NewJob { dedupe, ..NewJob::now(env, LOGOUT_JOB, json!(told)) })?;
    }
    tx.execute("update sign_on set logged_out_at = $2 where id = $1", params![sign_on.id, now]).map(drop)
}

/// A session went on under another id.
pub(crate) fn moved(tx: &mut Tx<'_>, from: &SessionId, to: &SessionId) -> Result<(), DbError> {
    tx.execute("update device_sign_on set session = $2 where session = $1", params![from, to])?;
    tx.execute("update sign_on set session = $2 where session = $1", params![from, to]).map(drop)
}
