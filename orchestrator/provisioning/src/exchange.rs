//! `token_issue` by exchange (RFC 8693): a helper's grant, caps and tokens in one write, or none of them.

use purser_authority::action::TokenIssue;
use purser_authority::{Caller, Done, Facts, authorise};
use purser_db::{DbError, Tx};
use purser_identity::agent::AgentName;
use purser_identity::grant::{Derive, DeriveError};
use purser_identity::token::exchange::{ActorError, ActorToken, Narrower, token_issue_derived};
use purser_identity::token::{Renewal, TokenIssueError, Tokens};
use purser_identity::{CallerError, Presented, Realm, caller_of};
use purser_values::error::{Kind, PublicError};

use crate::delegation::{DelegateError, agent_delegate};

#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    #[error("the subject token cannot be exchanged: {0}")]
    Subject(#[from] CallerError),
    #[error("only an agent's access token can be exchanged, not a person's")]
    Person,
    #[error("the new agent has no name")]
    Nameless,
    #[error(transparent)]
    Actor(#[from] ActorError),
    #[error(transparent)]
    Delegate(#[from] DelegateError),
    #[error(transparent)]
    Issue(#[from] TokenIssueError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for ExchangeError {
    fn code(&self) -> &'static str {
        match self {
            Self::Subject(e) => e.code(),
            Self::Person => "subject_not_exchangeable",
            Self::Nameless => "actor_token_invalid",
            Self::Actor(e) => e.code(),
            Self::Delegate(e) => e.code(),
            Self::Issue(e) => e.code(),
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Subject(e) => e.kind(),
            Self::Person | Self::Nameless => Kind::Invalid,
            Self::Actor(e) => e.kind(),
            Self::Delegate(e) => e.kind(),
            Self::Issue(e) => e.kind(),
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Subject(e) => e.hint(),
            Self::Person => Some("a person lets an agent act with `purser login` and the page that it prints".to_owned()),
            Self::Nameless => Some("say a `name` in the actor token or in the authorization details".to_owned()),
            Self::Actor(e) => e.hint(),
            Self::Delegate(e) => e.hint(),
            Self::Issue(e) => e.hint(),
            Self::Db(_) => None,
        }
    }
}

/// An agent's token with the proof of its key, the helper's statement, and what the helper shall be allowed.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub subject: Presented,
    pub actor: ActorToken,
    pub scope: Narrower,
}

/// Lets the helper in and gives it its tokens.
///
/// # Errors
/// See [`ExchangeError`]; nothing is made then.
pub fn token_exchange(tx: &mut Tx<'_>, realm: &Realm, given: &Exchange) -> Result<Done<Tokens>, ExchangeError> {
    let now = realm.env.now();
    let context = caller_of(tx, now, &given.subject)?;
    let Some(own) = &context.grant else { return Err(ExchangeError::Person) };
    given.actor.consume(tx)?;
    let name: AgentName = given.scope.name.clone().or_else(|| given.actor.name.clone()).ok_or(ExchangeError::Nameless)?;
    let ask = Derive { key: given.actor.key.clone(), name, scope: given.scope.of(own, now) };
    let jkt = ask.key.thumbprint();
    let permit =
        authorise::<TokenIssue>(&Caller::Anonymous, &Facts::new(now, &jkt)).map_err(|e| DelegateError::from(DeriveError::from(e)))?;
    let derived = agent_delegate(tx, realm, &context.caller, &ask)?;
    let grant = derived.value.grant.clone();
    let mut done = derived.map(drop);
    let tokens = done.absorb(token_issue_derived(tx, realm, &permit, &grant, &jkt, Renewal::Refresh)?);
    Ok(done.map(|()| tokens))
}
