//! What a provider said to an approved application.

use purser_authority::{Caller, Done, Event, Outcome};
use purser_db::{Tx, params};
use purser_values::Env;
use purser_values::id::CreditApplicationId;
use serde_json::json;

use super::{CreditError, State, read};
use crate::limits::TEXT_CHARS;

/// The provider's answer.
#[derive(Clone, Debug)]
pub enum Redeemed {
    Given,
    /// For good: with its code and words.
    Refused {
        code: String,
        message: String,
    },
}

/// Records the first answer; a later one changes nothing. Tells whether it was the first.
///
/// # Errors
/// When there is no such application, or the store fails.
pub fn redeemed(tx: &mut Tx<'_>, env: &Env, id: &CreditApplicationId, answer: &Redeemed) -> Result<Done<bool>, CreditError> {
    let found = read::find(tx, id)?.ok_or(CreditError::Unknown)?;
    let (state, outcome, reason) = match answer {
        Redeemed::Given => (State::Redeemed, Outcome::Done, None),
        Redeemed::Refused { code, message } => {
            let said: String = format!("{code}: {message}").chars().filter(|c| !c.is_control()).take(TEXT_CHARS).collect();
            (State::Refused, Outcome::Refused(code.chars().filter(|c| !c.is_control()).take(64).collect()), Some(said))
        }
    };
    let update = "update credit_application set state = $2, ended_at = $3, reason = coalesce($4, reason) where id = $1 and state = $5";
    if tx.execute(update, params![id, state.name(), env.now(), reason, State::Approved.name()])? != 1 {
        return Ok(Done::quiet(false));
    }
    let event = Event::new("credit_redeem", outcome, &Caller::System, id.as_str())
        .in_organisation(&found.organisation)
        .related([found.provider.as_str()])
        .with(json!({ "provider": found.provider, "programme": found.programme, "amount": found.amount }));
    Ok(Done::with_event(true, event))
}
