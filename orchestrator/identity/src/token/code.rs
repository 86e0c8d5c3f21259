//! `token_issue` by authorization code (RFC 6749, 4.1.3; RFC 7636, 4.6).
//!
//! INVARIANT (code-once): a code works once. A second use means that somebody else has it too, so all that the first use gave ends.

use purser_authority::action::TokenIssue;
use purser_authority::{Caller, Done, Event, Outcome, Permit};
use purser_crypto::constant_time_eq;
use purser_crypto::encoding::b64url;
use purser_crypto::jose::JoseError;
use purser_crypto::token;
use purser_db::{DbError, Row, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{GrantId, GrantRequestId, SignOnId, TokenFamilyId};
use purser_values::{Secret, Sha256Digest, Timestamp};
use serde_json::json;

use super::dpop::{Proof, ProofError};
use super::issue::for_grant;
use super::sign_on::{self as tokens, SignOnTokenError, SignOnTokens};
use super::{TokenIssueError, Tokens};
use crate::authorization::code::{CODE, CodeFacts, CodeFor, SignedInFacts};
use crate::authorization::sign_on;
use crate::client::assertion::{Assertion, AssertionError};
use crate::client::{Client, GrantType};
use crate::person;
use crate::realm::Realm;

/// Characters of a PKCE verifier (RFC 7636, 4.1).
const VERIFIER_CHARS: std::ops::RangeInclusive<usize> = 43..=128;

#[derive(Debug, thiserror::Error)]
pub enum CodeError {
    #[error("the authorization code is not valid for this client, address, verifier or key")]
    InvalidGrant,
    #[error("the token endpoint was asked for another resource than the person was")]
    Target,
    #[error("this client may not use authorization codes")]
    Unauthorized,
    #[error(transparent)]
    Assertion(#[from] AssertionError),
    #[error(transparent)]
    Issue(#[from] TokenIssueError),
    #[error(transparent)]
    SignOn(#[from] SignOnTokenError),
    #[error(transparent)]
    Proof(#[from] ProofError),
    #[error(transparent)]
    Jose(#[from] JoseError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for CodeError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidGrant => "invalid_grant",
            Self::Target => "invalid_target",
            Self::Unauthorized => "unauthorized_client",
            Self::Assertion(e) => e.code(),
            Self::Issue(e) => e.code(),
            Self::SignOn(e) => e.code(),
            Self::Proof(e) => e.code(),
            Self::Jose(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::InvalidGrant | Self::Target | Self::Unauthorized => Kind::Invalid,
            Self::Assertion(e) => e.kind(),
            Self::Issue(e) => e.kind(),
            Self::SignOn(e) => e.kind(),
            Self::Proof(e) => e.kind(),
            Self::Jose(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::InvalidGrant => {
                Some("a code works once, within a minute: send the person to the authorization endpoint again".to_owned())
            }
            Self::Proof(e) => e.hint(),
            _ => None,
        }
    }
}

/// What comes with a code, besides the client, which is authenticated already.
#[derive(Clone, Debug)]
pub struct CodeUse {
    pub code: Secret<String>,
    pub redirect_uri: String,
    pub verifier: Secret<String>,
    pub resource: Option<String>,
    pub proof: Option<Proof>,
    pub assertion: Option<Assertion>,
}

/// A second use is an outcome and not an error: the end of what the first gave is written.
#[derive(Debug)]
pub enum CodeUsed {
    SignOn(SignOnTokens),
    Grant(Tokens),
    Replayed,
}

/// Redeems a code.
///
/// # Errors
/// See [`CodeError`].
pub fn token_issue_by_code(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: Permit<TokenIssue>,
    client: &Client,
    given: &CodeUse,
) -> Result<Done<CodeUsed>, CodeError> {
    consume(tx, given)?;
    if !client.may(GrantType::AuthorizationCode) {
        return Err(CodeError::Unauthorized);
    }
    if !token::is_well_formed(given.code.expose(), CODE) {
        return Err(CodeError::InvalidGrant);
    }
    let now = realm.env.now();
    let digest = token::hash(given.code.expose());
    let select = "select * from authorization_code where code_hash = $1 and client = $2";
    let row = tx.query_opt(select, params![digest, client.id.as_str()])?.ok_or(CodeError::InvalidGrant)?;
    let facts: CodeFacts = row.json("issue")?;
    check(given, &facts)?;
    // Counted in the statement that takes it, so that of two uses at once one is the second.
    let take = "update authorization_code set used_at = $2 where code_hash = $1 and used_at is null";
    if tx.execute(take, params![digest, now])? == 0 {
        return Ok(end_of_first_use(tx, now, &permit, client, &row)?.map(|()| CodeUsed::Replayed));
    }
    if row.get::<Timestamp>("expires_at")? <= now {
        return Err(CodeError::InvalidGrant);
    }
    match facts.what {
        CodeFor::SignOn(signed_in) => sign_on_of(tx, realm, &permit, client, given, &digest, &signed_in, facts.resource),
        CodeFor::Grant { grant, request } => grant_of(tx, realm, &permit, client, given, &digest, &grant, &request),
    }
}

fn consume(tx: &mut Tx<'_>, given: &CodeUse) -> Result<(), CodeError> {
    if let Some(assertion) = &given.assertion {
        assertion.consume(tx)?;
    }
    if let Some(proof) = &given.proof {
        proof.consume(tx)?;
    }
    Ok(())
}

/// Everything that ties the code to the request it was minted for.
fn check(given: &CodeUse, facts: &CodeFacts) -> Result<(), CodeError> {
    let verifier = given.verifier.expose();
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    if !VERIFIER_CHARS.contains(&verifier.len()) || !verifier.bytes().all(allowed) {
        return Err(CodeError::InvalidGrant);
    }
    let challenge = b64url(Sha256Digest::of(verifier.as_bytes()).as_bytes());
    if !constant_time_eq(challenge.as_bytes(), facts.challenge.as_bytes()) || given.redirect_uri != facts.redirect_uri.as_str() {
        return Err(CodeError::InvalidGrant);
    }
    let bound = facts.dpop_jkt.as_deref();
    if bound.is_some() && given.proof.as_ref().map(Proof::jkt) != bound {
        return Err(CodeError::InvalidGrant);
    }
    if given.resource.is_some() && given.resource != facts.resource { Err(CodeError::Target) } else { Ok(()) }
}

fn sign_on_of(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<TokenIssue>,
    client: &Client,
    given: &CodeUse,
    digest: &Sha256Digest,
    signed_in: &SignedInFacts,
    resource: Option<String>,
) -> Result<Done<CodeUsed>, CodeError> {
    if client.metadata.dpop_bound_access_tokens && given.proof.is_none() {
        return Err(ProofError::Missing.into());
    }
    let member = person::member(tx, &signed_in.organisation, &signed_in.person)?.ok_or(CodeError::InvalidGrant)?;
    let audience = resource.unwrap_or_else(|| realm.issuer.to_string());
    let started = sign_on::start(tx, realm, client, signed_in, audience, given.proof.as_ref().map(Proof::jkt))?;
    tx.execute("update authorization_code set sign_on = $2 where code_hash = $1", params![digest, started.id])?;
    let issued = tokens::issue(tx, realm, client, &started, signed_in.scope.clone(), signed_in.nonce.clone())?;
    let caller = Caller::Person {
        person: signed_in.person.clone(),
        organisation: signed_in.organisation.clone(),
        role: member.role,
        present_at: None,
    };
    let event = Event::done(permit.verb(), &caller, started.id.as_str())
        .related([client.id.as_str()])
        .with(json!({ "client": client.id, "client_name": client.name(), "scope": signed_in.scope }));
    Ok(Done::with_event(CodeUsed::SignOn(issued), event))
}

/// A grant's tokens are bound to the agent's key, which the person was shown.
fn grant_of(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<TokenIssue>,
    client: &Client,
    given: &CodeUse,
    digest: &Sha256Digest,
    grant: &GrantId,
    request: &GrantRequestId,
) -> Result<Done<CodeUsed>, CodeError> {
    let now = realm.env.now();
    let proof = given.proof.as_ref().ok_or(ProofError::Missing)?;
    let asked = crate::grant_request::by_id(tx, request, now)?.ok_or(CodeError::InvalidGrant)?;
    if !constant_time_eq(asked.jkt.as_bytes(), proof.jkt().as_bytes()) {
        return Err(CodeError::InvalidGrant);
    }
    let grant = crate::grant::find(tx, grant)?.filter(|g| g.is_in_force(now)).ok_or(CodeError::InvalidGrant)?;
    let mut done = for_grant(tx, realm, permit, grant, request, proof)?;
    for event in &mut done.events {
        event.related.push(client.id.to_string());
    }
    let family = done.events.first().map(|event| event.subject.clone());
    tx.execute("update authorization_code set family = $2 where code_hash = $1", params![digest, family])?;
    tx.execute("update grant_request set redeemed_at = $2 where id = $1", params![request, now])?;
    Ok(done.map(CodeUsed::Grant))
}

fn end_of_first_use(tx: &mut Tx<'_>, now: Timestamp, permit: &Permit<TokenIssue>, client: &Client, row: &Row) -> Result<Done<()>, DbError> {
    let why = "the authorization code was used twice";
    let subject = row.get::<String>("request")?;
    let refused = Outcome::Refused("authorization_code_reused".to_owned());
    let mut event = Event::new(permit.verb(), refused, permit.caller(), subject).related([client.id.as_str()]);
    if let Some(id) = row.parse_opt::<SignOnId>("sign_on")? {
        sign_on::end(tx, now, &id, why)?;
        if let Some(found) = sign_on::find(tx, &id)? {
            event = event.in_organisation(&found.organisation).related([id.as_str()]);
        }
    }
    if let Some(id) = row.parse_opt::<TokenFamilyId>("family")? {
        let end = "update token_family set revoked_at = $2, revoked_why = $3 where id = $1 and revoked_at is null";
        tx.execute(end, params![id, now, why])?;
        event = event.related([id.as_str()]);
    }
    Ok(Done::with_event((), event))
}
