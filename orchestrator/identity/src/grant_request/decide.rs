//! `grant_decide`: a person accepts or denies.
//!
//! INVARIANT (agent-cannot-widen): what is accepted is within what was asked, except for the ceilings, which the person writes.
//! A cap above the default needs the role that may raise caps.

use purser_authority::action::{CapRaise, GrantAccept, GrantDecide};
use purser_authority::{Caller, Denied, Done, Event, Facts, Permit, authorise};
use purser_crypto::jose::JoseError;
use purser_crypto::seal::SealError;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::GrantRequestId;
use purser_values::limits::DEFAULT_CAP_MINOR;
use purser_values::name::ProviderName;

use super::{AskedScope, Asker, GrantRequest, State, by_id};
use crate::agent::{self, Agent};
use crate::consent::TermsSeen;
use crate::grant::{self, Grant, MakeError, Origin};
use crate::limits::GRANT_LIFE_MIN_S;
use crate::person;
use crate::realm::Realm;
use crate::terms;
use purser_values::limits::CAP_MAX_MINOR;

#[derive(Debug, thiserror::Error)]
pub enum DecideError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("this request was decided before")]
    Decided,
    #[error("this request has run out of time")]
    Expired,
    #[error("the decision allows {0}, which was not asked for")]
    Wider(&'static str),
    #[error("the decision leaves no project or no provider")]
    Nothing,
    #[error("the cap is out of range")]
    Cap,
    #[error("the life is too short")]
    Life,
    #[error("the terms of `{0}` are not the ones that were shown")]
    TermsChanged(ProviderName),
    #[error("the terms of `{0}` are not known")]
    TermsUnknown(ProviderName),
    #[error("the agent `{0}` is frozen")]
    Frozen(String),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Jose(#[from] JoseError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<MakeError> for DecideError {
    fn from(e: MakeError) -> Self {
        match e {
            MakeError::Seal(e) => Self::Seal(e),
            MakeError::Jose(e) => Self::Jose(e),
            MakeError::Db(e) => Self::Db(e),
        }
    }
}

impl PublicError for DecideError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Decided => "request_decided",
            Self::Expired => "request_expired",
            Self::Wider(_) => "wider_than_asked",
            Self::Nothing => "nothing_allowed",
            Self::Cap => "cap_out_of_range",
            Self::Life => "life_out_of_range",
            Self::TermsChanged(_) => "terms_changed",
            Self::TermsUnknown(_) => "terms_unknown",
            Self::Frozen(_) => "agent_frozen",
            Self::Seal(_) | Self::Jose(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Decided | Self::Expired | Self::TermsChanged(_) | Self::Frozen(_) => Kind::Conflict,
            Self::Wider(_) => Kind::Forbidden,
            Self::Nothing | Self::Cap | Self::Life => Kind::Invalid,
            Self::TermsUnknown(_) => Kind::Provider,
            Self::Seal(_) | Self::Jose(_) => Kind::Internal,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Decided | Self::Expired => Some("run `purser login` in the terminal again".to_owned()),
            Self::Wider(_) => Some("accept only what the page shows".to_owned()),
            Self::Nothing => Some("leave at least one project and one provider, or deny".to_owned()),
            Self::Cap => Some(format!("write an amount from 0 to {}", CAP_MAX_MINOR / 100)),
            Self::Life => Some(format!("let it live {GRANT_LIFE_MIN_S} seconds at least")),
            Self::TermsChanged(_) => Some("read the page again: the provider has published other terms".to_owned()),
            Self::TermsUnknown(_) => Some("the provider publishes no terms that could be accepted; leave it out".to_owned()),
            Self::Frozen(_) => Some("thaw it on the agents page first".to_owned()),
            Self::Seal(_) | Self::Jose(_) | Self::Db(_) => None,
        }
    }
}

/// What the person allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accept {
    /// What was asked for, or less of it; the ceilings are the person's.
    pub allowed: AskedScope,
    /// The documents that were on the page.
    pub terms: Vec<TermsSeen>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Accept(Box<Accept>),
    /// A person lets their own terminal in.
    LetIn,
    Deny,
}

/// What the decision made.
#[derive(Clone, Debug)]
pub enum Decided {
    Granted { grant: Grant, agent: Agent },
    LetIn,
    Denied,
}

/// Decides the request that the permit is for, once.
///
/// # Errors
/// See [`DecideError`]; nothing is changed then.
pub fn device_decision(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<GrantDecide>,
    decision: &Decision,
) -> Result<Done<Decided>, DecideError> {
    let id: GrantRequestId = permit.subject().parse().map_err(|_| Denied::NotFound)?;
    let request = by_id(tx, &id, realm.env.now())?.ok_or(Denied::NotFound)?;
    match request.state {
        State::Pending => {}
        State::Expired => return Err(DecideError::Expired),
        State::Granted { .. } | State::LetIn { .. } | State::Denied => return Err(DecideError::Decided),
    }
    if matches!(decision, Decision::Accept(_)) {
        authorise::<GrantAccept>(permit.caller(), &Facts::new(realm.env.now(), permit.subject())).map(drop)?;
    }
    match (decision, &request.asker) {
        (Decision::Deny, _) => {
            settle(tx, realm, permit, &request, "denied", None)?;
            let event = Event::done(permit.verb(), permit.caller(), id.as_str()).related([&request.jkt]);
            Ok(Done::with_event(Decided::Denied, event.with(serde_json::json!({ "decision": "deny" }))))
        }
        (Decision::LetIn, Asker::Person) => {
            settle(tx, realm, permit, &request, "let_in", None)?;
            let event = Event::done(permit.verb(), permit.caller(), id.as_str()).related([&request.jkt]);
            Ok(Done::with_event(Decided::LetIn, event.with(serde_json::json!({ "decision": "accept", "for": "person" }))))
        }
        (Decision::Accept(accept), Asker::Agent(asked)) => accept_agent(tx, realm, permit, &request, asked, accept),
        (Decision::LetIn, Asker::Agent(_)) | (Decision::Accept(_), Asker::Person) => Err(DecideError::Wider("another kind of caller")),
    }
}

fn accept_agent(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<GrantDecide>,
    request: &GrantRequest,
    asked: &AskedScope,
    accept: &Accept,
) -> Result<Done<Decided>, DecideError> {
    let Caller::Person { person, organisation, .. } = permit.caller() else { return Err(Denied::Anonymous.into()) };
    refuse_wider(realm, permit, asked, &accept.allowed)?;
    for provider in accept.allowed.providers.named() {
        check_terms(tx, provider, &accept.terms)?;
    }
    let member = person::member(tx, organisation, person)?.ok_or(Denied::NotFound)?;
    let agent = agent::find_or_create(tx, &realm.env, organisation, person, &request.name, &request.key)?;
    if agent.is_frozen() {
        return Err(DecideError::Frozen(agent.name.to_string()));
    }
    let scope = accept.allowed.in_full(realm.env.now());
    let mut accepted = accept.terms.clone();
    accepted.retain(|seen| accept.allowed.providers.contains(&seen.provider));
    let mut done = grant::make(tx, realm, &member, &agent, &Origin::Request(request), scope, &accepted)?;
    settle(tx, realm, permit, request, "granted", Some(&done.value))?;
    let grant = done.value.clone();
    let event = Event::done(permit.verb(), permit.caller(), grant.id.as_str())
        .related([request.id.as_str(), agent.id.as_str(), &agent.jkt, &grant.record_digest.to_string()])
        .with(serde_json::json!({ "decision": "accept", "agent": agent.name, "scope": grant.scope, "record": grant.record_digest }));
    done.events.insert(0, event);
    for seen in &accepted {
        let acceptance = terms::record(tx, &realm.env, organisation, person, &grant.id, seen)?;
        let event = Event::done("terms_accept", permit.caller(), acceptance.as_str())
            .related([grant.id.as_str(), agent.id.as_str(), &seen.sha256.to_string()])
            .with(serde_json::json!(seen));
        done.events.push(event);
    }
    Ok(done.map(|grant| Decided::Granted { grant, agent }))
}

fn refuse_wider(realm: &Realm, permit: &Permit<GrantDecide>, asked: &AskedScope, allowed: &AskedScope) -> Result<(), DecideError> {
    let now = realm.env.now();
    if allowed.projects.is_empty() || allowed.providers.is_empty() {
        return Err(DecideError::Nothing);
    }
    if let Some(what) = allowed.wider_than(asked, now) {
        return Err(DecideError::Wider(what));
    }
    if allowed.life_s < GRANT_LIFE_MIN_S {
        return Err(DecideError::Life);
    }
    let ceilings = std::iter::once(&allowed.cap).chain(allowed.caps.values()).chain(&allowed.total);
    for ceiling in ceilings {
        if ceiling.currency() != asked.cap.currency() || !(0..=CAP_MAX_MINOR).contains(&ceiling.minor()) {
            return Err(DecideError::Cap);
        }
    }
    if std::iter::once(&allowed.cap).chain(allowed.caps.values()).any(|cap| cap.minor() > DEFAULT_CAP_MINOR) {
        authorise::<CapRaise>(permit.caller(), &Facts::new(now, permit.subject())).map(drop)?;
    }
    Ok(())
}

/// Exactly the documents in force must have been shown, and there must be one.
fn check_terms(tx: &mut Tx<'_>, provider: &ProviderName, seen: &[TermsSeen]) -> Result<(), DecideError> {
    let mut in_force = terms::terms_in_force(tx, provider)?;
    if in_force.is_empty() {
        return Err(DecideError::TermsUnknown(provider.clone()));
    }
    let mut shown: Vec<TermsSeen> = seen.iter().filter(|t| t.provider == *provider).cloned().collect();
    in_force.sort();
    shown.sort();
    if shown == in_force { Ok(()) } else { Err(DecideError::TermsChanged(provider.clone())) }
}

/// The state moves only from pending, so that of two decisions at once one wins.
fn settle(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<GrantDecide>,
    request: &GrantRequest,
    state: &str,
    grant: Option<&Grant>,
) -> Result<(), DecideError> {
    let caller = permit.caller();
    let update = "update grant_request set state = $2, decided_at = $3, person = $4, organisation = $5, grant_id = $6
                  where id = $1 and state = 'pending'";
    let grant = grant.map(|g| &g.id);
    let row = params![request.id, state, realm.env.now(), caller.person(), caller.organisation(), grant];
    if tx.execute(update, row)? == 1 { Ok(()) } else { Err(DecideError::Decided) }
}
