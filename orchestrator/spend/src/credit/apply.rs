//! `credit_apply`: ask for a programme's credit. An agent may ask; what it writes is shown to the one who decides as unverified.

use purser_authority::action::CreditApply;
use purser_authority::{Denied, Done, Event, Permit};
use purser_crypto::seal::Keyring;
use purser_db::{Tx, params};
use purser_values::id::CreditApplicationId;
use purser_values::name::ProviderName;
use purser_values::{Env, Sha256Digest};
use serde_json::json;

use super::{Application as Kept, CreditError, State, programme, read};
use crate::limits::CREDIT_EVIDENCE_CHARS;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Application {
    pub provider: ProviderName,
    pub programme: String,
    /// Why the organisation is eligible. It is kept sealed, and its digest is attested.
    pub evidence: String,
}

/// Records the application.
///
/// # Errors
/// See [`CreditError`]: no such programme, an application that is not denied, or evidence of the wrong length.
pub fn apply(
    tx: &mut Tx<'_>,
    env: &Env,
    keyring: &Keyring,
    permit: &Permit<CreditApply>,
    asked: &Application,
) -> Result<Done<Kept>, CreditError> {
    let caller = permit.caller();
    let (organisation, requester) = caller.organisation().zip(caller.person()).ok_or(Denied::Anonymous)?;
    let evidence = asked.evidence.trim();
    let visible = !evidence.chars().any(|c| c.is_control() && c != '\n');
    if evidence.is_empty() || evidence.chars().count() > CREDIT_EVIDENCE_CHARS || !visible {
        return Err(CreditError::Evidence);
    }
    let unknown =
        || CreditError::ProgrammeUnknown { provider: asked.provider.clone(), programme: asked.programme.chars().take(64).collect() };
    let programme = programme::find(tx, &asked.provider, &asked.programme)?.ok_or_else(unknown)?;
    // INVARIANT (one-application)
    let before = read::of_organisation(tx, organisation)?.into_iter().find(|one| {
        one.provider == asked.provider && one.programme == programme.id && !matches!(one.state, State::Denied | State::Refused)
    });
    if let Some(before) = before {
        return Err(CreditError::AppliedBefore(before.id));
    }
    let id = CreditApplicationId::mint(env);
    let digest = Sha256Digest::of(evidence.as_bytes());
    let sealed = keyring.seal(env, &sealed_for(&id), evidence.as_bytes())?;
    let insert = "insert into credit_application (id, organisation, provider, programme, amount, currency, months, requester, agent,
                      evidence, evidence_sha256, state, asked_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    let what = params![id, organisation, asked.provider, programme.id, programme.amount.minor(), programme.amount.currency()];
    let state = State::Pending.name();
    let who = params![i64::from(programme.months), requester, caller.agent(), sealed, digest, state, env.now()];
    tx.execute(insert, &[what, who].concat())?;
    let kept = read::find(tx, &id)?.ok_or(CreditError::Unknown)?;
    let event = Event::done(permit.verb(), caller, id.as_str()).related([asked.provider.as_str()]).with(json!({
        "provider": asked.provider, "programme": programme.id, "amount": programme.amount, "evidence_sha256": digest,
    }));
    Ok(Done::with_event(kept, event))
}

/// What evidence is sealed for.
pub(super) fn sealed_for(id: &CreditApplicationId) -> String {
    format!("credit_evidence/{id}")
}
