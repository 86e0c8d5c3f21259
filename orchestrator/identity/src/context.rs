//! Who is calling, from an access token and its proof.
//!
//! The signature part is pure ([`Presented::check`]); whether the grant still holds and the agent is not frozen is read from the
//! store with every call ([`caller_of`]). INVARIANT (ends-where-read): nothing of that is cached, so a freeze or a revocation bites
//! with its commit. Where an effect follows in a later write, [`standing`] reads the same facts again in that write.

use purser_authority::{Caller, Facts, GrantScope};
use purser_crypto::constant_time_eq;
use purser_crypto::jose::Unverified;
use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};

use crate::grant::{self, Link};
use crate::person;
use crate::realm::Realm;
use crate::token::dpop::{Proof, ProofError};
use crate::token::{ACCESS_TYPE, AccessClaims};

#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    #[error("the access token is not one of ours, or has run out")]
    InvalidToken,
    #[error("the grant has ended")]
    GrantEnded,
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for CallerError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::GrantEnded => "grant_ended",
            Self::Proof(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::InvalidToken | Self::GrantEnded => Kind::Unauthenticated,
            Self::Proof(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidToken => Some("refresh the token, or run `purser login` again".to_owned()),
            Self::GrantEnded => Some("run `purser login` to ask your person for a new grant".to_owned()),
            Self::Proof(e) => e.hint(),
            Self::Db(_) => None,
        }
    }
}

/// A token and a proof that fit together; what they claim is not yet compared with the store.
#[derive(Clone, Debug)]
pub struct Presented {
    claims: AccessClaims,
    proof: Proof,
}

impl Presented {
    /// Checks signature, issuer, audience, time and the binding of token and proof, for `method` and the absolute `url`.
    ///
    /// # Errors
    /// [`CallerError::InvalidToken`] or what is wrong with the proof.
    pub fn check(realm: &Realm, access_token: &str, proof: &str, method: &str, url: &str) -> Result<Self, CallerError> {
        // the token first: without one of ours, nobody need make the effort of a proof
        let claims = access_claims(realm, access_token)?;
        let proof = Proof::check(proof, method, url, Some(access_token), realm.env.now())?;
        proof.check_nonce(realm)?;
        Self::bound(claims, proof)
    }

    /// A token that came in the body, with a proof that was made for the request and not for the token.
    ///
    /// # Errors
    /// As [`Presented::check`].
    pub fn with_proof(realm: &Realm, access_token: &str, proof: Proof) -> Result<Self, CallerError> {
        Self::bound(access_claims(realm, access_token)?, proof)
    }

    fn bound(claims: AccessClaims, proof: Proof) -> Result<Self, CallerError> {
        if !constant_time_eq(claims.cnf.jkt.as_bytes(), proof.jkt().as_bytes()) {
            return Err(ProofError::Other("key").into());
        }
        Ok(Self { claims, proof })
    }
}

/// The claims of an access token of ours for ourselves that has not run out. Whom it is bound to and whether what it stands for still
/// holds is not looked at.
///
/// # Errors
/// [`CallerError::InvalidToken`].
pub fn access_claims(realm: &Realm, access_token: &str) -> Result<AccessClaims, CallerError> {
    let invalid = |_| CallerError::InvalidToken;
    let token = Unverified::read(access_token, ACCESS_TYPE).map_err(invalid)?;
    let key = token.kid().and_then(|kid| realm.keys.find(kid)).ok_or(CallerError::InvalidToken)?;
    let claims = token.verify::<AccessClaims>(&key).map_err(invalid)?.claims;
    let ours = claims.iss == *realm.issuer && claims.aud == *realm.issuer && realm.env.now().as_secs() < claims.exp;
    if ours { Ok(claims) } else { Err(CallerError::InvalidToken) }
}

impl Presented {
    /// The thumbprint of the key that made the proof.
    #[must_use]
    pub fn jkt(&self) -> &str {
        self.proof.jkt()
    }
}

/// A caller with what decides over it, as read in one transaction.
#[derive(Clone, Debug)]
pub struct CallContext {
    pub caller: Caller,
    /// An agent's grant; persons have none.
    pub grant: Option<GrantScope>,
    /// The agent's own link and those of the agents above it, nearest first; empty for persons.
    pub links: Vec<Link>,
    /// Whether the agent, or one above it, is frozen.
    pub frozen: bool,
}

impl CallContext {
    /// Facts for the authoriser; add owner, project and provider where they are known.
    #[must_use]
    pub fn facts<'a>(&'a self, now: Timestamp, subject: &'a str) -> Facts<'a> {
        Facts { grant: self.grant.as_ref(), frozen: self.frozen, ..Facts::new(now, subject) }
    }
}

/// Who calls: takes the proof (so run it in a write) and reads how the caller stands now. A frozen agent is told apart by
/// [`CallContext::frozen`], because it may still look.
///
/// # Errors
/// A replayed proof, a token whose family ended, a grant that ended, a person who left.
pub fn caller_of(tx: &mut Tx<'_>, now: Timestamp, presented: &Presented) -> Result<CallContext, CallerError> {
    presented.proof.consume(tx)?;
    bearer_of(tx, now, &presented.claims)
}

/// The same for a token alone: how the one whom it was given to stands now.
pub(crate) fn bearer_of(tx: &mut Tx<'_>, now: Timestamp, claims: &AccessClaims) -> Result<CallContext, CallerError> {
    let caller = match &claims.act {
        Some(act) => {
            let alive = "select id from token_family where id = $1 and grant_id = $2 and revoked_at is null
                         and not exists (select 1 from revoked_token where jti = $3)";
            if tx.query_opt(alive, params![act.family, act.grant, claims.jti])?.is_none() {
                return Err(CallerError::GrantEnded);
            }
            let grant =
                grant::find(tx, &act.grant)?.filter(|g| g.agent == act.sub && g.person == claims.sub && g.organisation == claims.org);
            let grant = grant.ok_or(CallerError::GrantEnded)?;
            let chain = grant::chain(tx, &grant, now)?;
            return stands(tx, grant, chain);
        }
        None => {
            let alive = "select present_at from person_token where id = $1 and person = $2 and organisation = $3 and revoked_at is null";
            let row = tx.query_opt(alive, params![claims.jti, claims.sub, claims.org])?.ok_or(CallerError::InvalidToken)?;
            let member = person::member(tx, &claims.org, &claims.sub)?.ok_or(CallerError::InvalidToken)?;
            Caller::Person {
                person: claims.sub.clone(),
                organisation: claims.org.clone(),
                role: member.role,
                present_at: row.get("present_at")?,
            }
        }
    };
    standing(tx, now, &caller)
}

/// How a known caller stands now: for the write that has the effect, and for each step of a saga.
///
/// # Errors
/// [`CallerError::GrantEnded`] when the grant, or one above it, was revoked or ran out, or is not the agent's.
pub fn standing(tx: &mut Tx<'_>, now: Timestamp, caller: &Caller) -> Result<CallContext, CallerError> {
    let Caller::Agent { agent, grant, on_behalf_of, organisation, chain: through } = caller else {
        return Ok(CallContext { caller: caller.clone(), grant: None, links: Vec::new(), frozen: false });
    };
    let own = |g: &grant::Grant| g.agent == *agent && g.person == *on_behalf_of && g.organisation == *organisation;
    let grant = grant::find(tx, grant)?.filter(own).ok_or(CallerError::GrantEnded)?;
    let chain = grant::chain(tx, &grant, now)?;
    if chain.delegators() != *through {
        return Err(CallerError::GrantEnded);
    }
    stands(tx, grant, chain)
}

/// An agent whose chain of grants holds, for a person who has not left.
fn stands(tx: &mut Tx<'_>, grant: grant::Grant, chain: grant::Chain) -> Result<CallContext, CallerError> {
    // A person who left the organisation takes the grants along.
    if !chain.in_force || person::member(tx, &grant.organisation, &grant.person)?.is_none() {
        return Err(CallerError::GrantEnded);
    }
    Ok(CallContext { caller: chain.caller(&grant), frozen: chain.frozen, links: chain.links, grant: Some(grant.scope) })
}
