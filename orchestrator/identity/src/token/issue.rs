//! `token_issue`: exchange a decision for tokens (RFC 8628, 3.4).
//!
//! The device code works for the key that started the flow and only once.

use purser_authority::action::TokenIssue;
use purser_authority::{Caller, Done, Event, Permit};
use purser_crypto::jose::JoseError;
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{GrantRequestId, OrganisationId, PersonId, TokenFamilyId, TokenId};
use purser_values::limits::PERSON_TOKEN_LIFE_S;
use purser_values::{Secret, Timestamp};

use super::dpop::{Proof, ProofError};
use super::refresh::mint_refresh;
use super::{AgentTokens, Tokens, agent_access, person_access};
use crate::grant::{self, Chain, Grant};
use crate::grant_request::{Asker, GrantRequest, State, by_id};
use crate::realm::Realm;

#[derive(Debug, thiserror::Error)]
pub enum TokenIssueError {
    /// Unknown, used, or not this key's.
    #[error("the device code is not valid for this key")]
    InvalidGrant,
    #[error("no person has decided yet")]
    Pending,
    #[error("the person denied the request")]
    Denied,
    #[error("the device code has run out")]
    Expired,
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Jose(#[from] JoseError),
    #[error(transparent)]
    Db(#[from] DbError),
}

/// The codes are those of RFC 8628, 3.5.
impl PublicError for TokenIssueError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidGrant => "invalid_grant",
            Self::Pending => "authorization_pending",
            Self::Denied => "access_denied",
            Self::Expired => "expired_token",
            Self::Proof(e) => e.code(),
            Self::Jose(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::InvalidGrant | Self::Pending | Self::Denied | Self::Expired => Kind::Invalid,
            Self::Proof(e) => e.kind(),
            Self::Jose(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidGrant | Self::Expired | Self::Denied => Some("run `purser login` again".to_owned()),
            Self::Proof(e) => e.hint(),
            Self::Pending | Self::Jose(_) | Self::Db(_) => None,
        }
    }
}

/// Where a poll stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevicePoll {
    Pending,
    /// [`token_issue`] will answer with tokens or with the final error.
    Decided,
}

/// Looks whether there is a decision, without writing anything: what a held poll does.
///
/// # Errors
/// [`TokenIssueError::InvalidGrant`] when the code is not this key's, or a failure of the store.
pub fn device_poll(tx: &mut Tx<'_>, now: Timestamp, device_code: &Secret<String>, proof: &Proof) -> Result<DevicePoll, TokenIssueError> {
    let (request, _) = request_of(tx, now, device_code, proof)?;
    Ok(if request.state == State::Pending { DevicePoll::Pending } else { DevicePoll::Decided })
}

/// Issues the tokens of a decided request.
///
/// # Errors
/// See [`TokenIssueError`].
pub fn token_issue(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<TokenIssue>,
    device_code: &Secret<String>,
    proof: &Proof,
) -> Result<Done<Tokens>, TokenIssueError> {
    let now = realm.env.now();
    let (request, redeemed) = request_of(tx, now, device_code, proof)?;
    if redeemed {
        return Err(TokenIssueError::InvalidGrant);
    }
    let done = match &request.state {
        State::Pending => return Err(TokenIssueError::Pending),
        State::Denied => return Err(TokenIssueError::Denied),
        State::Expired => return Err(TokenIssueError::Expired),
        // A decision that nobody fetched in time is not kept for later.
        State::Granted { .. } | State::LetIn { .. } if now >= request.expires_at => return Err(TokenIssueError::Expired),
        State::Granted { grant } => {
            let grant = grant::find(tx, grant)?.filter(|g| g.is_in_force(now)).ok_or(TokenIssueError::Denied)?;
            for_grant(tx, realm, &permit, grant, &request.id, proof)?
        }
        State::LetIn { person, organisation } => let_in(tx, realm, &permit, &request, person, organisation)?,
    };
    tx.execute("update grant_request set redeemed_at = $2 where id = $1", params![request.id, now])?;
    Ok(done)
}

/// The tokens of a grant, for the key that its person saw. The event's subject is the new family.
pub(super) fn for_grant(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<TokenIssue>,
    grant: Grant,
    request: &GrantRequestId,
    proof: &Proof,
) -> Result<Done<Tokens>, TokenIssueError> {
    let now = realm.env.now();
    let chain = grant::chain(tx, &grant, now)?;
    let (family, mut tokens) = family(tx, realm, &grant, &chain, proof.jkt(), Renewal::Refresh)?;
    let caller = chain.caller(&grant);
    let changed = match by_id(tx, request, now)?.map(|request| request.asker) {
        Some(Asker::Agent(asked)) => asked.changes(&grant.scope, grant.accepted_at),
        _ => Vec::new(),
    };
    let event = Event::done(permit.verb(), &caller, family.as_str()).related([grant.id.as_str(), request.as_str(), proof.jkt()]);
    if let Some(agent) = &mut tokens.agent {
        agent.changed = changed;
    }
    Ok(Done::with_event(tokens, event))
}

/// Whether tokens can be renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    Refresh,
    None,
}

/// A new family of tokens under a grant, for one key.
pub(super) fn family(
    tx: &mut Tx<'_>,
    realm: &Realm,
    grant: &Grant,
    chain: &Chain,
    jkt: &str,
    renewal: Renewal,
) -> Result<(TokenFamilyId, Tokens), TokenIssueError> {
    let family = TokenFamilyId::mint(&realm.env);
    tx.execute("insert into token_family (id, grant_id) values ($1, $2)", params![family, grant.id])?;
    let refresh_token = match renewal {
        Renewal::Refresh => Some(mint_refresh(tx, realm, &family, jkt, grant.scope.expires_at)?),
        Renewal::None => None,
    };
    let (access_token, expires_in_s) = agent_access(realm, grant, chain, &family, jkt)?;
    let (scope, changed) = (grant.scope.clone(), Vec::new());
    let agent = Some(AgentTokens { refresh_token, grant: grant.id.clone(), agent: grant.agent.clone(), scope, changed });
    Ok((family, Tokens { access_token, expires_in_s, agent }))
}

fn let_in(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<TokenIssue>,
    request: &GrantRequest,
    person: &PersonId,
    organisation: &OrganisationId,
) -> Result<Done<Tokens>, TokenIssueError> {
    let member = crate::person::member(tx, organisation, person)?.ok_or(TokenIssueError::Denied)?;
    let id = TokenId::mint(&realm.env);
    // The terminal is there as long as the person who let it in was, and no longer.
    let present_at: Option<Timestamp> =
        tx.query_one("select present_at from grant_request where id = $1", params![request.id])?.get("present_at")?;
    let insert = "insert into person_token (id, person, organisation, jkt, expires_at, present_at, issued_at, peer)
                  values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let now = realm.env.now();
    let until = now.plus_secs(PERSON_TOKEN_LIFE_S);
    tx.execute(insert, params![id, person, organisation, request.jkt, until, present_at, now, request.peer])?;
    let caller = Caller::Person { person: person.clone(), organisation: organisation.clone(), role: member.role, present_at };
    let event = Event::done(permit.verb(), &caller, id.as_str()).related([request.id.as_str(), &request.jkt]);
    let (access_token, expires_in_s) = person_access(realm, id, person, organisation, &request.jkt)?;
    let what = format!(
        "You let a terminal in at {}: until {} it acts as you, in {}, from {}.",
        now.for_people(),
        until.for_people(),
        member.organisation.name,
        request.peer,
    );
    let mail = realm.notice(&member.person.email, "You let a terminal in", &what).map_err(|e| DbError::Other(e.to_string()))?;
    Ok(Done::with_event(Tokens { access_token, expires_in_s, agent: None }, event).and_job(mail))
}

fn request_of(
    tx: &mut Tx<'_>,
    now: Timestamp,
    device_code: &Secret<String>,
    proof: &Proof,
) -> Result<(GrantRequest, bool), TokenIssueError> {
    if !token::is_well_formed(device_code.expose(), crate::grant_request::DEVICE_CODE) {
        return Err(TokenIssueError::InvalidGrant);
    }
    let select = "select * from grant_request where device_code = $1";
    let row = tx.query_opt(select, params![token::hash(device_code.expose())])?.ok_or(TokenIssueError::InvalidGrant)?;
    let request = crate::grant_request::read(&row, now)?;
    if request.jkt != proof.jkt() {
        return Err(TokenIssueError::InvalidGrant);
    }
    Ok((request, row.get::<Option<Timestamp>>("redeemed_at")?.is_some()))
}
