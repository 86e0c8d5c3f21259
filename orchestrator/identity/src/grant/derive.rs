//! `agent_delegate`: an agent lets another act within its own grant.
//!
//! INVARIANT (agent-cannot-widen): the derived grant is within the agent's own in every direction, ends with it, and can never be
//! made to hold longer or further by anybody but a person.

use purser_authority::action::AgentDelegate;
use purser_authority::{Caller, Denied, Done, Event, GrantScope, Permit};
use purser_crypto::jose::{JoseError, Jwk};
use purser_crypto::seal::SealError;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};

use super::make::{Origin, make};
use super::{Grant, chain, find};
use crate::agent::{self, Agent, AgentName};
use crate::limits::{GRANT_CHILDREN, GRANT_DEPTH, GRANT_LIFE_MIN_S};
use crate::person;
use crate::realm::Realm;

#[derive(Debug, thiserror::Error)]
pub enum DeriveError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the {0} asked for is wider than the grant that it would be derived from")]
    Wider(&'static str),
    #[error("the scope asked for leaves nothing to do")]
    Nothing,
    #[error("a grant can be derived through at most {GRANT_DEPTH} agents")]
    TooDeep,
    #[error("{GRANT_CHILDREN} grants in force are derived from this one already")]
    TooMany,
    #[error("the key belongs to an agent that this one did not let in")]
    KeyTaken,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Jose(#[from] JoseError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for DeriveError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Wider(_) => "wider_than_parent",
            Self::Nothing => "nothing_allowed",
            Self::TooDeep => "delegation_too_deep",
            Self::TooMany => "too_many_delegations",
            Self::KeyTaken => "agent_key_taken",
            Self::Seal(_) | Self::Jose(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Wider(_) | Self::TooDeep => Kind::Forbidden,
            Self::Nothing => Kind::Invalid,
            Self::TooMany => Kind::RateLimited,
            Self::KeyTaken => Kind::Conflict,
            Self::Seal(_) | Self::Jose(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Wider(_) => Some("see `purser whoami` for what the grant allows, and ask for that or less".to_owned()),
            Self::Nothing => Some("name at least one project, provider and action, and a life of a minute".to_owned()),
            Self::TooDeep => Some("let an agent nearer to the person do it".to_owned()),
            Self::TooMany => Some("end some of them, or wait until they run out".to_owned()),
            Self::KeyTaken => Some("make a fresh key for the new agent".to_owned()),
            Self::Seal(_) | Self::Jose(_) | Self::Db(_) => None,
        }
    }
}

/// Who is let in, and for what.
#[derive(Clone, Debug)]
pub struct Derive {
    pub key: Jwk,
    pub name: AgentName,
    pub scope: GrantScope,
}

#[derive(Clone, Debug)]
pub struct Derived {
    pub grant: Grant,
    pub agent: Agent,
}

/// Makes the new agent and its grant, derived from the one that the permit's caller acts under.
///
/// # Errors
/// See [`DeriveError`]; nothing is made then.
pub fn agent_delegate(tx: &mut Tx<'_>, realm: &Realm, permit: &Permit<AgentDelegate>, ask: &Derive) -> Result<Done<Derived>, DeriveError> {
    let Caller::Agent { agent: above, grant, .. } = permit.caller() else {
        return Err(Denied::NotGranted { what: "letting in other agents: only an agent can".to_owned() }.into());
    };
    let now = realm.env.now();
    let parent = find(tx, grant)?.filter(|g| g.agent == *above).ok_or(Denied::GrantEnded)?;
    let through = chain(tx, &parent, now)?;
    if !through.in_force {
        return Err(Denied::GrantEnded.into());
    }
    if through.frozen {
        return Err(Denied::Frozen.into());
    }
    if through.links.len() > GRANT_DEPTH {
        return Err(DeriveError::TooDeep);
    }
    if let Some(what) = ask.scope.wider_than(&parent.scope) {
        return Err(DeriveError::Wider(what));
    }
    if !is_useful(&ask.scope) || ask.scope.expires_at < now.plus_secs(GRANT_LIFE_MIN_S) {
        return Err(DeriveError::Nothing);
    }
    let held = "select count(*) as n from agent_grant where parent = $1 and revoked_at is null and expires_at > $2";
    if tx.query_one(held, params![parent.id, now])?.get::<i64>("n")? >= GRANT_CHILDREN {
        return Err(DeriveError::TooMany);
    }
    let member = person::member(tx, &parent.organisation, &parent.person)?.ok_or(Denied::GrantEnded)?;
    let agent = agent::let_in(tx, &realm.env, &parent, &ask.name, &ask.key)?.ok_or(DeriveError::KeyTaken)?;
    if agent.is_frozen() {
        return Err(Denied::Frozen.into());
    }
    let mut terms = parent.terms.clone();
    terms.retain(|seen| ask.scope.providers.contains(&seen.provider));
    let origin = Origin::Derived { parent: &parent, key: &ask.key };
    let mut done = make(tx, realm, &member, &agent, &origin, ask.scope.clone(), &terms, None)?;
    let grant = done.value.clone();
    let event = Event::done(permit.verb(), permit.caller(), grant.id.as_str())
        .related([agent.id.as_str(), &agent.jkt, parent.id.as_str(), &grant.record_digest.to_string()])
        .with(serde_json::json!({ "agent": agent.name, "parent": parent.id, "scope": grant.scope, "record": grant.record_digest }));
    done.events.insert(0, event);
    Ok(done.map(|grant| Derived { grant, agent }))
}

fn is_useful(scope: &GrantScope) -> bool {
    let GrantScope { projects, environments, providers, services, actions, .. } = scope;
    !projects.is_empty() && !environments.is_empty() && !providers.is_empty() && !services.is_empty() && !actions.is_empty()
}

impl From<super::MakeError> for DeriveError {
    fn from(e: super::MakeError) -> Self {
        match e {
            super::MakeError::Seal(e) => Self::Seal(e),
            super::MakeError::Jose(e) => Self::Jose(e),
            super::MakeError::Db(e) => Self::Db(e),
        }
    }
}
