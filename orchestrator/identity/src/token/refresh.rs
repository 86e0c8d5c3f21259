//! `token_issue` by refresh: each refresh token works once; a second use means that a copy exists, and ends the family.
//!
//! One exception, because an answer can be lost: the same key may present the same token again for a short time, as long as
//! nobody has used what it was exchanged for. The lost successor is then replaced, so that at most one works.

use purser_authority::action::TokenIssue;
use purser_authority::{Done, Event, Outcome, Permit};
use purser_crypto::jose::JoseError;
use purser_crypto::token;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::TokenFamilyId;
use purser_values::{Secret, Sha256Digest, Timestamp};

use super::dpop::{Proof, ProofError};
use super::{AgentTokens, Tokens, agent_access};
use crate::grant;
use crate::realm::Realm;

/// The prefix of the refresh tokens of agents.
pub(super) const REFRESH: &str = "pur_rt";
/// How long after its first use a token may be presented again by its key, when its answer was lost, in seconds.
const LOST_ANSWER_S: i64 = 60;

#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// Unknown, expired, ended, or not this key's.
    #[error("the refresh token is not valid for this key")]
    InvalidGrant,
    #[error("the agent is frozen")]
    Frozen,
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Jose(#[from] JoseError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for RefreshError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidGrant => "invalid_grant",
            Self::Frozen => "agent_frozen",
            Self::Proof(e) => e.code(),
            Self::Jose(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::InvalidGrant => Kind::Invalid,
            Self::Frozen => Kind::Forbidden,
            Self::Proof(e) => e.kind(),
            Self::Jose(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidGrant => Some("run `purser login` again".to_owned()),
            Self::Frozen => {
                Some("a person, or a budget that is spent, froze this agent; a person can thaw it on the agents page".to_owned())
            }
            Self::Proof(e) => e.hint(),
            Self::Jose(_) | Self::Db(_) => None,
        }
    }
}

/// A reuse is an outcome and not an error: the end of the family is written.
#[derive(Debug)]
pub enum Refreshed {
    Issued(Tokens),
    Reused,
}

/// Rotates a refresh token. A frozen agent keeps its token unspent, so that a thaw restores it.
///
/// # Errors
/// See [`RefreshError`].
pub fn token_refresh(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<TokenIssue>,
    refresh_token: &Secret<String>,
    proof: &Proof,
) -> Result<Done<Refreshed>, RefreshError> {
    proof.consume(tx)?;
    let now = realm.env.now();
    if !token::is_well_formed(refresh_token.expose(), REFRESH) {
        return Err(RefreshError::InvalidGrant);
    }
    let digest = token::hash(refresh_token.expose());
    let select = "select t.family as family, t.jkt as jkt, t.expires_at as expires_at, t.used_at as used_at, f.grant_id as grant_id,
                  f.revoked_at as revoked_at from refresh_token t join token_family f on f.id = t.family where t.token_hash = $1";
    let row = tx.query_opt(select, params![digest])?.ok_or(RefreshError::InvalidGrant)?;
    let family: TokenFamilyId = row.parse("family")?;
    // Without the key a copy is worth nothing, not even to end the family.
    if row.get::<String>("jkt")? != proof.jkt() || row.get::<Option<Timestamp>>("revoked_at")?.is_some() {
        return Err(RefreshError::InvalidGrant);
    }
    let grant = grant::find(tx, &row.parse("grant_id")?)?.ok_or(RefreshError::InvalidGrant)?;
    let chain = grant::chain(tx, &grant, now)?;
    let caller = chain.caller(&grant);
    let used_at: Option<Timestamp> = row.get("used_at")?;
    if used_at.is_some() && !forget_lost_successor(tx, &digest, used_at, now)? {
        let end = "update token_family set revoked_at = $2, revoked_why = 'refresh token reused' where id = $1";
        tx.execute(end, params![family, now])?;
        let refused = Outcome::Refused("refresh_token_reused".to_owned());
        let event = Event::new(permit.verb(), refused, &caller, family.as_str()).related([grant.id.as_str()]);
        return Ok(Done::with_event(Refreshed::Reused, event));
    }
    if row.get::<Timestamp>("expires_at")? <= now || !chain.in_force {
        return Err(RefreshError::InvalidGrant);
    }
    if chain.frozen {
        return Err(RefreshError::Frozen);
    }
    let refresh_token = mint_refresh(tx, realm, &family, proof.jkt(), grant.scope.expires_at)?;
    let successor = token::hash(refresh_token.expose());
    // The time of the first use stays: the exception does not renew itself.
    let update = "update refresh_token set used_at = coalesce(used_at, $2), successor = $3 where token_hash = $1";
    tx.execute(update, params![digest, now, successor])?;
    let (access_token, expires_in_s) = agent_access(realm, &grant, &chain, &family, proof.jkt())?;
    let event = Event::done(permit.verb(), &caller, family.as_str()).related([grant.id.as_str()]);
    let agent = Some(AgentTokens {
        refresh_token: Some(refresh_token),
        grant: grant.id,
        agent: grant.agent,
        scope: grant.scope,
        changed: Vec::new(),
    });
    Ok(Done::with_event(Refreshed::Issued(Tokens { access_token, expires_in_s, agent }), event))
}

/// Whether the token's answer may be given again: its successor is unused and the first use is not long ago. Removes the
/// successor, so that only the next one works.
fn forget_lost_successor(tx: &mut Tx<'_>, digest: &Sha256Digest, used_at: Option<Timestamp>, now: Timestamp) -> Result<bool, DbError> {
    if used_at.is_none_or(|at| now > at.plus_secs(LOST_ANSWER_S)) {
        return Ok(false);
    }
    let delete = "delete from refresh_token where used_at is null
                  and token_hash = (select successor from refresh_token where token_hash = $1)";
    Ok(tx.execute(delete, params![digest])? == 1)
}

pub(super) fn mint_refresh(
    tx: &mut Tx<'_>,
    realm: &Realm,
    family: &TokenFamilyId,
    jkt: &str,
    until: Timestamp,
) -> Result<Secret<String>, DbError> {
    let (plain, digest) = token::mint(&realm.env, REFRESH);
    let insert = "insert into refresh_token (token_hash, family, jkt, issued_at, expires_at) values ($1, $2, $3, $4, $5)";
    tx.execute(insert, params![digest, family, jkt, realm.env.now(), until])?;
    Ok(plain)
}
