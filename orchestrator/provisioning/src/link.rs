//! What people and providers answer while an account is being asked for: the callback of the person's browser, the provider's own
//! confirmation, and the information that a provider wants.
//!
//! INVARIANT (own-answer): a callback counts only in the signed-in session of the person who was asked, for the organisation that
//! asks, from the provider that was asked; its state is good once. So a page that somebody else is lured to, a code of another
//! session and the answer of another provider open nothing. The saga redeems the code; nothing here talks to a provider.

use purser_authority::action::{AccountConfirm, AccountLink, AccountRead};
use purser_authority::{Action, Caller, Denied, Done, Event, Facts, Outcome, Permit, authorise};
use purser_crypto::constant_time_eq;
use purser_crypto::seal::Keyring;
use purser_db::{DbError, Tx};
use purser_flow::Failure;
use purser_identity::agent;
use purser_identity::standing;
use purser_values::error::{Kind, PublicError};
use purser_values::name::ProviderName;
use purser_values::{Env, Secret, Timestamp};
use purser_wire::account_confirmation::Decision;
use serde_json::{Map, Value, json};

use crate::fault::failure;
use crate::store::account;
use crate::store::link::{self, Link, Seals, Status};

/// Most members and bytes of what is submitted to a provider.
const INFORMATION_MEMBERS: usize = 32;
const INFORMATION_BYTES: usize = 4 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("this answer was used before, is too late, or was never asked for")]
    Unknown,
    #[error("somebody else was asked to connect this account")]
    AnotherPerson,
    #[error("the account is for another organisation of yours than the one in use")]
    AnotherOrganisation,
    #[error("`{0}` was not the one that was asked")]
    AnotherProvider(ProviderName),
    #[error("the answer does not come from the provider that was asked")]
    Issuer,
    #[error("the time to answer is over")]
    Late,
    #[error("nothing is asked for any more")]
    NotAsked,
    #[error("what is submitted must be an object of 1 to {INFORMATION_MEMBERS} members and at most {INFORMATION_BYTES} bytes")]
    Information,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Caller(#[from] purser_identity::CallerError),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for LinkError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "link_unknown",
            Self::AnotherPerson => "link_for_another_person",
            Self::AnotherOrganisation => "link_for_another_organisation",
            Self::AnotherProvider(_) => "link_of_another_provider",
            Self::Issuer => "link_issuer_wrong",
            Self::Late => "account_link_expired",
            Self::NotAsked => "link_not_asked",
            Self::Information => "invalid_request",
            Self::Denied(e) => e.code(),
            Self::Caller(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::AnotherPerson | Self::AnotherOrganisation | Self::AnotherProvider(_) | Self::Issuer => Kind::Forbidden,
            Self::Late => Kind::NeedsPerson,
            Self::NotAsked => Kind::Conflict,
            Self::Information => Kind::Invalid,
            Self::Denied(e) => e.kind(),
            Self::Caller(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown | Self::Late => "let the agent ask again and use the page that it names then".to_owned(),
            Self::AnotherPerson => "sign in as the person whom the agent named, or let the agent ask you".to_owned(),
            Self::AnotherOrganisation => "use the other organisation, then load this page again".to_owned(),
            Self::AnotherProvider(_) | Self::Issuer => "do not go on; tell whoever runs this installation".to_owned(),
            Self::Denied(e) => return e.hint(),
            Self::Caller(e) => return e.hint(),
            Self::NotAsked | Self::Information | Self::Store(_) => return None,
        })
    }
}

/// What the browser brought back from a provider.
#[derive(Clone, Debug)]
pub struct Returned {
    /// The provider whose callback address was used.
    pub provider: ProviderName,
    pub state: Secret<String>,
    pub issuer: Option<String>,
    pub answer: BrowserAnswer,
}

#[derive(Clone, Debug)]
pub enum BrowserAnswer {
    Code(Secret<String>),
    /// The provider's error code.
    Refused(String),
}

/// Takes what a person's browser brought. Gives the request, for the page that says how it stands. Whatever does not fit leaves the
/// attempt as it was.
///
/// # Errors
/// When the answer is not that of the person who was asked, in this organisation, from this provider, in time and for the first time.
pub fn link_return(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, caller: &Caller, back: &Returned) -> Result<Done<String>, LinkError> {
    let link = link::by_state(tx, back.state.expose())?.ok_or(LinkError::Unknown)?;
    if link.provider != back.provider {
        return Err(LinkError::AnotherProvider(back.provider.clone()));
    }
    let permit = own(caller, &link, env.now())?;
    if let Some(expected) = &link.issuer
        && !back.issuer.as_ref().is_some_and(|named| constant_time_eq(named.as_bytes(), expected.as_bytes()))
    {
        return Err(LinkError::Issuer);
    }
    if link.is_late(env.now()) {
        return Err(LinkError::Late);
    }
    let (taken, outcome) = match &back.answer {
        BrowserAnswer::Code(code) => (link::returned(tx, Seals { env, keyring }, &link, code)?, Outcome::Done),
        BrowserAnswer::Refused(why) => {
            let refused = refused(&link.provider, why);
            (link::over(tx, &link, &refused)?, Outcome::Refused(refused.code))
        }
    };
    if !taken {
        return Err(LinkError::Unknown);
    }
    let event = Event::new(permit.verb(), outcome, permit.caller(), link.account.as_str());
    let event = event.related([link.provider.as_str(), &link.request]).with(json!({ "step": "return" }));
    Ok(Done::with_event(link.request, event))
}

/// Why a provider's page sent the person back without a code.
fn refused(provider: &ProviderName, why: &str) -> Failure {
    let why = purser_wire::text::excerpt(why, 64);
    if why == "access_denied" {
        return denied(provider);
    }
    let message = format!("`{provider}` did not connect the account: {why}");
    failure("account_link_failed", Kind::Provider, message, Some("repeat the command; the person is asked once more"))
}

fn denied(provider: &ProviderName) -> Failure {
    let message = format!("the account at `{provider}` was not connected: the person said no");
    failure("account_link_denied", Kind::Forbidden, message, Some("ask the person before you try again"))
}

/// The right to answer for this attempt: only the person who was asked has it, and only for the organisation that asks.
fn own(caller: &Caller, link: &Link, now: Timestamp) -> Result<Permit<AccountLink>, LinkError> {
    person_of(caller, link)?;
    permit::<AccountLink>(caller, link, now)
}

fn person_of(caller: &Caller, link: &Link) -> Result<(), LinkError> {
    let Caller::Person { person, organisation, .. } = caller else { return Err(LinkError::AnotherPerson) };
    if *person != link.person {
        return Err(LinkError::AnotherPerson);
    }
    if *organisation != link.organisation {
        return Err(LinkError::AnotherOrganisation);
    }
    Ok(())
}

fn permit<A: Action>(caller: &Caller, link: &Link, now: Timestamp) -> Result<Permit<A>, LinkError> {
    let facts = Facts { owner: Some(&link.organisation), provider: Some(&link.provider), ..Facts::new(now, link.account.as_str()) };
    Ok(authorise::<A>(caller, &facts)?)
}

/// A provider says that the person agreed, or did not, at its side. A repetition changes nothing.
///
/// # Errors
/// When there is no such request of this provider, or the secret is not that of the request: both look alike.
pub fn link_confirm(
    tx: &mut Tx<'_>,
    env: &Env,
    keyring: &Keyring,
    caller: &Caller,
    request: &str,
    secret: &Secret<String>,
    decision: Decision,
) -> Result<Done<()>, LinkError> {
    let Caller::Provider { provider } = caller else { return Err(Denied::NotFound.into()) };
    let link = link::by_request(tx, request)?.filter(|link| link.provider == *provider).ok_or(LinkError::Unknown)?;
    let own = link.secret(Seals { env, keyring })?;
    if !constant_time_eq(own.expose().as_bytes(), secret.expose().as_bytes()) {
        return Err(LinkError::Unknown);
    }
    let permit = authorise::<AccountConfirm>(caller, &Facts::new(env.now(), link.account.as_str()))?;
    if link.is_late(env.now()) {
        return Err(LinkError::Late);
    }
    let (taken, outcome) = match decision {
        Decision::Approved if link.status == Status::Confirmed => return Ok(Done::quiet(())),
        Decision::Denied if link.status == Status::Over => return Ok(Done::quiet(())),
        Decision::Approved => (link::moved(tx, &link, Status::Waiting, Status::Confirmed)?, Outcome::Done),
        Decision::Denied if link.status == Status::Waiting => {
            let denied = denied(&link.provider);
            (link::over(tx, &link, &denied)?, Outcome::Refused(denied.code))
        }
        Decision::Denied => (false, Outcome::Done),
    };
    if !taken {
        return Err(LinkError::NotAsked);
    }
    let event = Event::new(permit.verb(), outcome, permit.caller(), link.account.as_str()).in_organisation(&link.organisation);
    Ok(Done::with_event((), event.related([link.provider.as_str(), &link.request])))
}

/// Submits what the provider wants to know; its person may, and an agent under a grant for the provider.
///
/// # Errors
/// When the caller may not, nothing is wanted, or it is no small object.
pub fn link_inform(
    tx: &mut Tx<'_>,
    env: &Env,
    keyring: &Keyring,
    caller: &Caller,
    request: &str,
    information: &Map<String, Value>,
) -> Result<Done<()>, LinkError> {
    let link = link::by_request(tx, request)?.filter(|link| caller.organisation() == Some(&link.organisation)).ok_or(LinkError::Unknown)?;
    let permit = match caller {
        Caller::Agent { .. } => {
            let standing = standing(tx, env.now(), caller)?;
            let facts = Facts {
                owner: Some(&link.organisation),
                provider: Some(&link.provider),
                ..standing.facts(env.now(), link.account.as_str())
            };
            authorise::<AccountLink>(caller, &facts)?
        }
        _ => own(caller, &link, env.now())?,
    };
    let size = serde_json::to_string(information).map_or(usize::MAX, |text| text.len());
    if information.is_empty() || information.len() > INFORMATION_MEMBERS || size > INFORMATION_BYTES {
        return Err(LinkError::Information);
    }
    if link.is_late(env.now()) {
        return Err(LinkError::Late);
    }
    if !link::informed(tx, Seals { env, keyring }, &link, information)? {
        return Err(LinkError::NotAsked);
    }
    // Which facts, and not what they are: the log never forgets.
    let names: Vec<&String> = information.keys().collect();
    let event = Event::done(permit.verb(), permit.caller(), link.account.as_str());
    let event = event.related([link.provider.as_str(), &link.request]).with(json!({ "step": "inform", "members": names }));
    Ok(Done::with_event((), event))
}

/// How a request stands, for the page of the person who was asked.
#[derive(Clone, Debug)]
pub struct LinkView {
    pub request: String,
    pub provider: ProviderName,
    /// What the agent that opened the request calls itself.
    pub agent: Option<String>,
    pub expires_at: Option<Timestamp>,
    pub stands: Stands,
}

#[derive(Clone, Debug)]
pub enum Stands {
    /// The person goes to the provider's page.
    ToProvider(Secret<String>),
    /// The person fills in what the provider wants to know.
    ToInform(Value),
    /// The agent goes on; there is nothing to do here.
    GoesOn,
    Connected,
    Failed(Failure),
    Late,
}

/// # Errors
/// When there is no such request, or somebody else was asked.
pub fn link_view(tx: &mut Tx<'_>, env: &Env, keyring: &Keyring, caller: &Caller, request: &str) -> Result<LinkView, LinkError> {
    let Some(row) = account::by_request(tx, request)? else { return Err(LinkError::Unknown) };
    let agent = agent::find(tx, &row.agent)?.map(|agent| agent.name.to_string());
    let view = |expires_at, stands| LinkView { request: request.to_owned(), provider: row.provider.clone(), agent, expires_at, stands };
    let Some(link) = link::find(tx, &row.id)? else {
        let facts = Facts { owner: Some(&row.organisation), ..Facts::new(env.now(), row.id.as_str()) };
        let _permit = authorise::<AccountRead>(caller, &facts)?;
        return Ok(view(None, if row.is_open() { Stands::Connected } else { Stands::Late }));
    };
    person_of(caller, &link)?;
    let _permit = permit::<AccountRead>(caller, &link, env.now())?;
    let stands = match link.status {
        Status::Over => link.failure.clone().map_or(Stands::Late, Stands::Failed),
        Status::Waiting | Status::Information if link.is_late(env.now()) => Stands::Late,
        Status::Waiting => link.url(Seals { env, keyring })?.map_or(Stands::GoesOn, Stands::ToProvider),
        Status::Information => Stands::ToInform(link.schema.clone().unwrap_or_default()),
        Status::Asking | Status::Registering | Status::Returned | Status::Redeeming | Status::Confirmed => Stands::GoesOn,
    };
    Ok(view(Some(link.expires_at), stands))
}
