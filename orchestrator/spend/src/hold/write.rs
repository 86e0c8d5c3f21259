//! The rows of a new hold.

use purser_db::{DbError, Tx, params};
use purser_values::{Month, Sha256Digest};
use serde_json::json;

use super::{Hold, LineState};
use crate::quote::{Quote, Recurs};
use crate::{ledger, limits};

/// The hold under the caller's key, which is bound to the purchase by its digest.
pub fn hold(tx: &mut Tx<'_>, hold: &Hold, key: &str, digest: &Sha256Digest) -> Result<(), DbError> {
    let insert = "insert into spend_hold (id, organisation, agent, grant_id, provider, project, resource, payment_method,
                      currency, amount, quote_id, quote_digest, state, request_key, request_digest, created_at, expires_at,
                      environment, categories)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
                  on conflict (agent, request_key) do nothing";
    let Hold { id, spender, grant, provider, project, resource, payment_method, amount, .. } = hold;
    let (organisation, agent, currency, minor) = (&spender.organisation, &spender.agent, amount.currency(), amount.minor());
    let (quote, quote_digest, state) = (&hold.quote_id, hold.quote_digest, hold.state.name());
    let (made, over) = (hold.created_at, hold.expires_at);
    let who = params![id, organisation, agent, grant, provider, project, resource, payment_method];
    let (environment, categories) = (&hold.environment, json!(hold.categories));
    let what = params![currency, minor, quote, quote_digest, state, key, digest, made, over, environment, categories];
    ledger::once(tx.execute(insert, &[who, what].concat())?)
}

/// The lines of the quote, for their first period. A metered one has nothing to charge until use is set aside for it.
pub fn first_lines(tx: &mut Tx<'_>, hold: &Hold, quote: &Quote, month: Month) -> Result<(), DbError> {
    let insert = "insert into spend_hold_line (hold, line, period, month, description, amount, recurs, state)
                  values ($1, $2, '', $3, $4, $5, $6, $7)";
    for line in &quote.lines {
        let description: String = line.description.chars().take(limits::TEXT_CHARS).collect();
        let state = if line.recurs == Recurs::Metered { LineState::Charged } else { LineState::Open };
        let (minor, recurs, state) = (line.amount.minor(), line.recurs.name(), state.name());
        tx.execute(insert, params![hold.id, line.id, month, description, minor, recurs, state])?;
    }
    Ok(())
}
