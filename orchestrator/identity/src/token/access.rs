//! The claims of an access token, and making one.

use purser_authority::Delegator;
use purser_crypto::jose::JoseError;
use purser_values::Secret;
use purser_values::id::{AgentId, GrantId, OrganisationId, PersonId, TokenFamilyId, TokenId};
use purser_values::limits::{ACCESS_TOKEN_LIFE_S, PERSON_TOKEN_LIFE_S};
use serde::{Deserialize, Serialize};

use crate::grant::{Chain, Grant};
use crate::realm::Realm;

/// The `typ` of an access token (RFC 9068).
pub(crate) const TYPE: &str = "at+jwt";

/// What an access token says. `act` is there when an agent acts for the person (RFC 8693, 4.1), with its grant; a token
/// without it is the person's own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessClaims {
    pub iss: String,
    pub aud: String,
    pub sub: PersonId,
    pub org: OrganisationId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Actor>,
    pub cnf: Confirmation,
    pub jti: TokenId,
    pub iat: i64,
    pub exp: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Actor {
    pub sub: AgentId,
    pub grant: GrantId,
    /// The family of refresh tokens that it came from: one that was stolen takes its access tokens along.
    pub family: TokenFamilyId,
    /// The agent that let this one in, and those above it (RFC 8693, 4.1). It tells who is behind; what counts is read from the
    /// store with every call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Prior>>,
}

/// An agent further up the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prior {
    pub sub: AgentId,
    pub grant: GrantId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<Box<Prior>>,
}

impl Prior {
    /// The agents above one, nearest outermost.
    #[must_use]
    pub fn of(chain: &[Delegator]) -> Option<Box<Self>> {
        let nest = |act, above: &Delegator| Some(Box::new(Self { sub: above.agent.clone(), grant: above.grant.clone(), act }));
        chain.iter().rev().fold(None, nest)
    }
}

/// The key that the token is bound to (RFC 7800).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Confirmation {
    pub jkt: String,
}

/// An access token for an agent under a grant; it never outlives the grant.
pub(crate) fn agent_access(
    realm: &Realm,
    grant: &Grant,
    chain: &Chain,
    family: &TokenFamilyId,
    jkt: &str,
) -> Result<(Secret<String>, i64), JoseError> {
    let now = realm.env.now();
    let exp = now.plus_secs(ACCESS_TOKEN_LIFE_S).min(grant.scope.expires_at).as_secs();
    let act = Actor { sub: grant.agent.clone(), grant: grant.id.clone(), family: family.clone(), act: Prior::of(&chain.delegators()) };
    let claims = claims(realm, TokenId::mint(&realm.env), &grant.person, &grant.organisation, Some(act), jkt, exp);
    Ok((Secret::new(realm.keys.sign(TYPE, &claims)?), exp - now.as_secs()))
}

/// A person's own token for a terminal.
pub(crate) fn person_access(
    realm: &Realm,
    id: TokenId,
    person: &PersonId,
    organisation: &OrganisationId,
    jkt: &str,
) -> Result<(Secret<String>, i64), JoseError> {
    let exp = realm.env.now().plus_secs(PERSON_TOKEN_LIFE_S).as_secs();
    let claims = claims(realm, id, person, organisation, None, jkt, exp);
    Ok((Secret::new(realm.keys.sign(TYPE, &claims)?), PERSON_TOKEN_LIFE_S))
}

fn claims(
    realm: &Realm,
    jti: TokenId,
    person: &PersonId,
    organisation: &OrganisationId,
    act: Option<Actor>,
    jkt: &str,
    exp: i64,
) -> AccessClaims {
    AccessClaims {
        iss: realm.issuer.to_string(),
        aud: realm.issuer.to_string(),
        sub: person.clone(),
        org: organisation.clone(),
        act,
        cnf: Confirmation { jkt: jkt.to_owned() },
        jti,
        iat: realm.env.now().as_secs(),
        exp,
    }
}
