//! `workload_trust_add`: a person, who just proved to be there, lets workloads act within a grant.

use purser_authority::action::WorkloadTrustAdd;
use purser_authority::{Denied, Done, Event, Permit};
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{GrantId, WorkloadTrustId};
use serde_json::json;
use url::Url;

use super::{Trust, TrustFacts};
use crate::grant;
use crate::limits::{WORKLOAD_CLAIMS, WORKLOAD_LIFE_MAX_S, WORKLOAD_LIFE_MIN_S, WORKLOAD_TEXT_CHARS, WORKLOAD_TRUSTS};
use crate::realm::Realm;
use crate::token::exchange::Narrower;

#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("the trust cannot be set up: {0}")]
    Invalid(String),
    #[error("the grant has ended, or does not allow to let others act")]
    Grant,
    #[error("what the workloads may do is wider than the grant: {0}")]
    Wider(&'static str),
    #[error("the organisation has {WORKLOAD_TRUSTS} trusts already")]
    TooMany,
    #[error(transparent)]
    Db(#[from] DbError),
}

impl PublicError for TrustError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Invalid(_) => "workload_trust_invalid",
            Self::Grant => "workload_grant_unusable",
            Self::Wider(_) => "wider_than_parent",
            Self::TooMany => "too_many_workload_trusts",
            Self::Db(e) => e.code(),
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Invalid(_) => Kind::Invalid,
            Self::Grant | Self::TooMany => Kind::Conflict,
            Self::Wider(_) => Kind::Forbidden,
            Self::Db(e) => e.kind(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Denied(e) => e.hint(),
            Self::Invalid(_) | Self::Db(_) => None,
            Self::Grant => Some("take a grant in force that was asked for with `purser login --delegate`".to_owned()),
            Self::Wider(_) => Some("let the workloads do what the grant allows, or less".to_owned()),
            Self::TooMany => Some("remove those that nobody uses".to_owned()),
        }
    }
}

/// Sets up a trust within the grant, which is the permit's organisation's. `plain_http` says whether the issuer may be reached
/// without TLS, as in a sandbox.
///
/// # Errors
/// See [`TrustError`].
pub fn workload_trust_add(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<WorkloadTrustAdd>,
    grant: &GrantId,
    facts: TrustFacts,
    plain_http: bool,
) -> Result<Done<Trust>, TrustError> {
    let (Some(person), Some(organisation)) = (permit.caller().person(), permit.caller().organisation()) else {
        return Err(Denied::Anonymous.into());
    };
    check(&facts, plain_http)?;
    let now = realm.env.now();
    // a workload acts for the person who gave the grant, so nobody else can let one in
    let own = |g: &grant::Grant| g.organisation == *organisation && g.person == *person;
    let above = grant::find(tx, grant)?.filter(own).ok_or(Denied::NotFound)?;
    let may = above.scope.actions.iter().any(|action| action == "agent_delegate");
    if !may || !grant::chain(tx, &above, now)?.in_force {
        return Err(TrustError::Grant);
    }
    let details = Narrower::read(&facts.details).map_err(|e| TrustError::Invalid(e.to_string()))?;
    let scope = details.of_for(&above.scope, now, facts.life_s);
    if let Some(what) = scope.wider_than(&above.scope) {
        return Err(TrustError::Wider(what));
    }
    let held = "select count(*) as n from workload_trust where organisation = $1 and removed_at is null";
    if tx.query_one(held, params![organisation])?.get::<i64>("n")? >= WORKLOAD_TRUSTS {
        return Err(TrustError::TooMany);
    }
    let id = WorkloadTrustId::mint(&realm.env);
    let insert = "insert into workload_trust (id, organisation, person, grant_id, facts, created_at) values ($1, $2, $3, $4, $5, $6)";
    tx.execute(insert, params![id, organisation, person, grant, json!(facts), now])?;
    let event = Event::done(permit.verb(), permit.caller(), id.as_str()).related([grant.as_str()]).with(json!(facts));
    let trust = Trust { id, organisation: organisation.clone(), person: person.clone(), grant: grant.clone(), facts, created_at: now };
    Ok(Done::with_event(trust, event))
}

fn check(facts: &TrustFacts, plain_http: bool) -> Result<(), TrustError> {
    let invalid = |why: &str| Err(TrustError::Invalid(why.to_owned()));
    let Ok(issuer) = Url::parse(&facts.issuer) else { return invalid("the issuer is no address") };
    let bare = issuer.query().is_none() && issuer.fragment().is_none() && issuer.username().is_empty() && issuer.password().is_none();
    if !bare || !(issuer.scheme() == "https" || (plain_http && issuer.scheme() == "http")) || facts.issuer.len() > WORKLOAD_TEXT_CHARS {
        return invalid("the issuer is an https address without a query");
    }
    let fits = |text: &str| !text.is_empty() && text.len() <= WORKLOAD_TEXT_CHARS && !text.chars().any(char::is_control);
    if !fits(&facts.audience) {
        return invalid("the audience is one line of text");
    }
    if facts.claims.len() > WORKLOAD_CLAIMS || !facts.claims.iter().all(|(name, value)| fits(name) && fits(value)) {
        return invalid("the claims are a few names with one line of text each");
    }
    if !(WORKLOAD_LIFE_MIN_S..=WORKLOAD_LIFE_MAX_S).contains(&facts.life_s) {
        return invalid("a workload acts for one to fifteen minutes at a time");
    }
    Ok(())
}
