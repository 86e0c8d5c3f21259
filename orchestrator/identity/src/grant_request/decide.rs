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
use purser_values::id::{GrantRequestId, OrganisationId, PersonId};
use purser_values::limits::{DEFAULT_CAP_MINOR, cap_max};
use purser_values::name::ProviderName;
use purser_values::{Currency, Sha256Digest};

use super::{AskedScope, Asker, GrantRequest, State, by_id};
use crate::agent::{self, Agent};
use crate::consent::TermsSeen;
use crate::grant::{self, Consent, Grant, MakeError, Origin, Statement};
use crate::limits::GRANT_LIFE_MIN_S;
use crate::passkey::{AssertionAnswer, PasskeyError, sign_challenge};
use crate::person;
use crate::realm::Realm;
use crate::terms::{self, Accepting, CONSENT_PAGE, TermsError, check_shown};

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
    Cap(Currency),
    #[error("the life is too short")]
    Life,
    #[error("the terms of `{0}` are not the ones that were shown")]
    TermsChanged(ProviderName),
    #[error("the terms of `{0}` are not known")]
    TermsUnknown(ProviderName),
    #[error("the agent `{0}` is frozen")]
    Frozen(String),
    #[error(transparent)]
    Passkey(#[from] PasskeyError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Jose(#[from] JoseError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<TermsError> for DecideError {
    fn from(e: TermsError) -> Self {
        match e {
            TermsError::Denied(e) => Self::Denied(e),
            TermsError::Changed(provider) => Self::TermsChanged(provider),
            TermsError::Unknown(provider) => Self::TermsUnknown(provider),
            TermsError::Db(e) => Self::Db(e),
        }
    }
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
            Self::Cap(_) => "cap_out_of_range",
            Self::Life => "life_out_of_range",
            Self::TermsChanged(_) => "terms_changed",
            Self::TermsUnknown(_) => "terms_unknown",
            Self::Frozen(_) => "agent_frozen",
            Self::Passkey(e) => e.code(),
            Self::Seal(_) | Self::Jose(_) => "internal",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Decided | Self::Expired | Self::TermsChanged(_) | Self::Frozen(_) => Kind::Conflict,
            Self::Wider(_) => Kind::Forbidden,
            Self::Nothing | Self::Cap(_) | Self::Life => Kind::Invalid,
            Self::TermsUnknown(_) => Kind::Provider,
            Self::Passkey(e) => e.kind(),
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
            Self::Cap(currency) => Some(format!("write an amount in {currency} from 0 to {}", cap_max(*currency).decimal())),
            Self::Life => Some(format!("let it live {GRANT_LIFE_MIN_S} seconds at least")),
            Self::TermsChanged(_) => Some("read the page again: the provider has published other terms".to_owned()),
            Self::TermsUnknown(_) => Some("the provider publishes no terms that could be accepted; leave it out".to_owned()),
            Self::Passkey(e) => e.hint(),
            Self::Frozen(_) => Some("thaw it on the agents page first".to_owned()),
            Self::Seal(_) | Self::Jose(_) | Self::Db(_) => None,
        }
    }
}

/// What the person allows.
#[derive(Clone, Debug)]
pub struct Accept {
    /// What was asked for, or less of it; the ceilings are the person's.
    pub allowed: AskedScope,
    /// The documents that were on the page.
    pub terms: Vec<TermsSeen>,
    /// The answer of a passkey of theirs that was asked to sign the [`Statement`].
    pub answer: Option<AssertionAnswer>,
}

#[derive(Clone, Debug)]
pub enum Decision {
    Accept(Box<Accept>),
    /// A person lets their own terminal in.
    LetIn,
    Deny,
}

/// What the decision made.
#[derive(Clone, Debug)]
pub enum Decided {
    /// `by` is the person as they stood: signing proves that they were there.
    Granted {
        grant: Grant,
        agent: Agent,
        by: Caller,
    },
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
    match (decision, &request.asker) {
        (Decision::Deny, _) => {
            settle(tx, realm, permit, &request, "denied", None)?;
            let event = Event::done(permit.verb(), permit.caller(), id.as_str()).related([&request.jkt]);
            Ok(Done::with_event(Decided::Denied, event.with(serde_json::json!({ "decision": "deny" }))))
        }
        (Decision::LetIn, Asker::Person) => {
            is_there(realm, permit, permit.caller())?;
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
    let signed = match &accept.answer {
        Some(answer) => Some(sign(tx, realm, request, person, organisation, accept, answer)?),
        None => None,
    };
    // Signing proves that they are there, as a step-up does.
    let caller = signed.as_ref().map_or_else(|| permit.caller().clone(), |consent| consent.signature.present(permit.caller()));
    is_there(realm, permit, &caller)?;
    refuse_wider(realm, permit, &caller, asked, &accept.allowed)?;
    for provider in accept.allowed.providers.named() {
        check_shown(tx, provider, &accept.terms)?;
    }
    let member = person::member(tx, organisation, person)?.ok_or(Denied::NotFound)?;
    let agent = agent::find_or_create(tx, &realm.env, organisation, person, &request.name, &request.key)?;
    if agent.is_frozen() {
        return Err(DecideError::Frozen(agent.name.to_string()));
    }
    let now = realm.env.now();
    let scope = accept.allowed.in_full(now);
    if accept.terms.iter().any(|seen| !accept.allowed.providers.contains(&seen.provider)) {
        return Err(DecideError::Wider("terms of other providers"));
    }
    let accepted = accept.terms.clone();
    let mut done = grant::make(tx, realm, &member, &agent, &Origin::Request { request, at: now }, scope, &accepted, signed.clone())?;
    settle(tx, realm, permit, request, "granted", Some(&done.value))?;
    let grant = done.value.clone();
    let event = Event::done(permit.verb(), permit.caller(), grant.id.as_str())
        .related([request.id.as_str(), agent.id.as_str(), &agent.jkt, &grant.record_digest.to_string()])
        .with(serde_json::json!({
            "decision": "accept", "agent": agent.name, "scope": grant.scope, "record": grant.record_digest, "consent": signed,
        }));
    done.events.insert(0, event);
    for seen in &accepted {
        let accepting = Accepting { organisation, person, grant: Some(&grant.id), agent: Some(&agent.id), method: CONSENT_PAGE };
        let acceptance = terms::record(tx, &realm.env, &accepting, seen)?;
        let event = Event::done("terms_accept", permit.caller(), acceptance.as_str())
            .related([grant.id.as_str(), agent.id.as_str(), &seen.sha256.to_string()])
            .with(serde_json::json!(seen));
        done.events.push(event);
    }
    Ok(done.map(|grant| Decided::Granted { grant, agent, by: caller }))
}

fn is_there(realm: &Realm, permit: &Permit<GrantDecide>, caller: &Caller) -> Result<(), DecideError> {
    authorise::<GrantAccept>(caller, &Facts::new(realm.env.now(), permit.subject())).map(drop).map_err(DecideError::from)
}

/// The person's signature under exactly what they allow.
fn sign(
    tx: &mut Tx<'_>,
    realm: &Realm,
    request: &GrantRequest,
    person: &PersonId,
    organisation: &OrganisationId,
    accept: &Accept,
    answer: &AssertionAnswer,
) -> Result<Consent, DecideError> {
    let statement = Statement::of(realm, request, person, organisation, &accept.allowed, &accept.terms).text();
    let statement = statement.map_err(|e| DbError::Other(e.to_string()))?;
    let signature = sign_challenge(tx, realm, person, &Sha256Digest::of(statement.as_bytes()), answer)?;
    Ok(Consent { statement, signature })
}

fn refuse_wider(
    realm: &Realm,
    permit: &Permit<GrantDecide>,
    caller: &Caller,
    asked: &AskedScope,
    allowed: &AskedScope,
) -> Result<(), DecideError> {
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
        if ceiling.currency() != asked.cap.currency() || !(0..=cap_max(ceiling.currency()).minor()).contains(&ceiling.minor()) {
            return Err(DecideError::Cap(asked.cap.currency()));
        }
    }
    if std::iter::once(&allowed.cap).chain(allowed.caps.values()).any(|cap| cap.minor() > DEFAULT_CAP_MINOR) {
        authorise::<CapRaise>(caller, &Facts::new(now, permit.subject())).map(drop)?;
    }
    Ok(())
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
    let update = "update grant_request set state = $2, decided_at = $3, person = $4, organisation = $5, grant_id = $6, present_at = $7
                  where id = $1 and state = 'pending'";
    let grant = grant.map(|g| &g.id);
    let present_at = if let Caller::Person { present_at, .. } = caller { *present_at } else { None };
    let row = params![request.id, state, realm.env.now(), caller.person(), caller.organisation(), grant, present_at];
    if tx.execute(update, row)? == 1 { Ok(()) } else { Err(DecideError::Decided) }
}
