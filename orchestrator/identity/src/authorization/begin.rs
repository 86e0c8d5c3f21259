//! `authorization_begin`: a browser brings a request; it is kept until the person has answered.

use purser_authority::action::{AuthorizationRequest, GrantRequest};
use purser_authority::{Denied, Done, Facts, Permit, authorise};
use purser_db::{DbError, Row, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{AuthorizationId, GrantRequestId};
use purser_values::{Sha256Digest, Timestamp};
use serde_json::json;

use super::{Asked, Refusal};
use crate::grant_request::{Ask, Asker, StartError, authorization_start};
use crate::limits::{AUTHORIZATION_LIFE_S, AUTHORIZATIONS_PER_PEER};
use crate::realm::Realm;

#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    #[error("too many requests from this address wait for an answer")]
    TooMany,
    #[error("the pushed request is not known, was used, has run out, or is another client's")]
    NotPushed,
    #[error("the request for a grant is not acceptable: {0}")]
    Grant(#[from] StartError),
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for BeginError {
    fn code(&self) -> &'static str {
        match self {
            Self::TooMany => "too_many_requests",
            Self::NotPushed => "invalid_request_uri",
            Self::Grant(e) => e.code(),
            Self::Denied(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::TooMany => Kind::RateLimited,
            Self::NotPushed => Kind::Invalid,
            Self::Grant(e) => e.kind(),
            Self::Denied(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::TooMany => Some("wait a quarter of an hour".to_owned()),
            Self::NotPushed => Some("go back to the application and start again".to_owned()),
            Self::Grant(e) => e.hint(),
            Self::Denied(e) => e.hint(),
            Self::Db(_) => None,
        }
    }
}

/// A request that waits for its person.
#[derive(Clone, Debug)]
pub struct Pending {
    pub id: AuthorizationId,
    pub asked: Asked,
    /// When the browser brought it.
    pub created_at: Timestamp,
    /// The request that the person decides, when a grant is asked for.
    pub grant_request: Option<GrantRequestId>,
}

impl Pending {
    /// Whether a sign-in of that moment is what the client asked for.
    #[must_use]
    pub fn accepts_sign_in_at(&self, signed_in_at: Timestamp, now: Timestamp) -> bool {
        let anew = !self.asked.prompt.login || signed_in_at >= self.created_at;
        anew && self.asked.max_age.is_none_or(|age| signed_in_at >= self.created_at || now <= signed_in_at.plus_secs(age))
    }

    /// The refusal of a request that may show nothing.
    #[must_use]
    pub fn login_required() -> Refusal {
        Refusal::new("login_required", "the person has to sign in")
    }
}

/// Keeps a request that came with the browser, for that browser.
///
/// # Errors
/// When too many wait.
pub fn authorization_begin(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<AuthorizationRequest>,
    asked: &Asked,
    peer: &str,
    browser: &Sha256Digest,
) -> Result<Done<Pending>, BeginError> {
    let now = realm.env.now();
    refuse_crowd(tx, now, peer)?;
    let id = AuthorizationId::mint(&realm.env);
    let insert = "insert into authorization_request (id, client, asked, peer, browser, created_at, expires_at)
                  values ($1, $2, $3, $4, $5, $6, $7)";
    let until = now.plus_secs(AUTHORIZATION_LIFE_S);
    tx.execute(insert, params![id, asked.client.as_str(), json!(asked), peer, browser, now, until])?;
    let pending = Pending { id, asked: asked.clone(), created_at: now, grant_request: None };
    ask_for_grant(tx, realm, &permit, pending, peer)
}

/// A grant goes to the same page as one that a terminal asks for.
pub(super) fn ask_for_grant(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<AuthorizationRequest>,
    mut pending: Pending,
    peer: &str,
) -> Result<Done<Pending>, BeginError> {
    let Some(grant) = &pending.asked.grant else { return Ok(Done::quiet(pending)) };
    let ask = Ask { asker: Asker::Agent(Box::new(grant.scope.clone())), name: grant.name.clone(), peer: peer.to_owned() };
    let jkt = grant.key.thumbprint();
    let may_ask = authorise::<GrantRequest>(permit.caller(), &Facts::new(realm.env.now(), &jkt))?;
    let done = authorization_start(tx, realm, may_ask, &ask, &grant.key)?;
    tx.execute("update authorization_request set grant_request = $2 where id = $1", params![pending.id, done.value])?;
    pending.grant_request = Some(done.value.clone());
    Ok(done.map(|_| pending))
}

/// The request of this browser, if it still waits.
///
/// # Errors
/// When the store fails.
pub fn authorization_find(
    tx: &mut Tx<'_>,
    id: &AuthorizationId,
    browser: &Sha256Digest,
    now: Timestamp,
) -> Result<Option<Pending>, DbError> {
    let select = "select * from authorization_request where id = $1 and browser = $2 and answered_at is null and expires_at > $3";
    tx.query_opt(select, params![id, browser, now])?.map(|row| read(&row)).transpose()
}

pub(super) fn read(row: &Row) -> Result<Pending, DbError> {
    Ok(Pending {
        id: row.parse("id")?,
        asked: row.json("asked")?,
        created_at: row.get("created_at")?,
        grant_request: row.parse_opt("grant_request")?,
    })
}

pub(super) fn refuse_crowd(tx: &mut Tx<'_>, now: Timestamp, peer: &str) -> Result<(), BeginError> {
    let waiting = "select count(*) as n from authorization_request
                   where peer = $1 and created_at > $2 and answered_at is null and expires_at > $3";
    let since = now.plus_secs(-AUTHORIZATION_LIFE_S);
    let n: i64 = tx.query_one(waiting, params![peer, since, now])?.get("n")?;
    if n >= AUTHORIZATIONS_PER_PEER { Err(BeginError::TooMany) } else { Ok(()) }
}
