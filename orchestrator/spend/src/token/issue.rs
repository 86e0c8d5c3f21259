//! Makes the token with which a provider charges a hold.

use purser_authority::action::ResourceAdd;
use purser_authority::{Denied, Done, Event, Permit};
use purser_crypto::token;
use purser_db::{Tx, params};
use purser_values::id::{HoldId, PaymentTokenId};
use purser_values::{Env, Secret};
use serde_json::json;

use super::{PREFIX, PaymentToken, TokenError, TokenState, read};
use crate::hold::{self, HoldState};
use crate::quote::Recurs;
use crate::{freeze, ledger, limits, spender};

/// A token and, this once, its text. Seal the text in the same write: it cannot be had again.
#[derive(Debug)]
pub struct Issued {
    pub token: PaymentToken,
    pub plain: Secret<String>,
}

/// Issues the one token of the hold, bound to the hold's provider and quote.
///
/// # Errors
/// When the hold has ended, or has a token already ([`TokenError::Exists`]: its sealed text is the caller's to find).
pub fn issue(tx: &mut Tx<'_>, env: &Env, permit: &Permit<ResourceAdd>, id: &HoldId) -> Result<Done<Issued>, TokenError> {
    let hold = hold::find(tx, id)?.ok_or(Denied::NotFound)?;
    spender::allowed(permit.caller(), &hold.spender, Some(&hold.grant))?;
    if freeze::is_hold_frozen(tx, &hold.id)? {
        return Err(Denied::Frozen.into());
    }
    if let Some(token) = read::of_hold(tx, id)? {
        return Err(TokenError::Exists(token.id));
    }
    if hold.state != HoldState::Open || hold.expires_at <= env.now() {
        return Err(TokenError::HoldEnded);
    }
    let recurs = hold::lines(tx, &hold)?.iter().any(|line| line.recurs != Recurs::Once);
    let expires_at = if recurs { env.now().plus_secs(limits::RECURRING_TOKEN_LIFE_S) } else { hold.expires_at };
    let (plain, hash) = token::mint(env, PREFIX);
    let token = PaymentToken {
        id: PaymentTokenId::mint(env),
        prefix: token::public_prefix(plain.expose()),
        hold: hold.id.clone(),
        spender: hold.spender.clone(),
        provider: hold.provider.clone(),
        state: TokenState::Active,
        created_at: env.now(),
        expires_at,
    };
    let insert = "insert into payment_token (id, hash, prefix, hold, organisation, agent, provider, state, created_at, expires_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) on conflict (hold) do nothing";
    let PaymentToken { id, prefix, provider, state, created_at, .. } = &token;
    let (organisation, agent) = (&token.spender.organisation, &token.spender.agent);
    let values = params![id, hash, prefix, hold.id, organisation, agent, provider, state.name(), created_at, expires_at];
    ledger::once(tx.execute(insert, values)?)?;
    let event = Event::done("payment_token_issue", permit.caller(), id.as_str())
        .in_organisation(organisation)
        .related([hold.id.as_str(), hold.resource.as_str(), agent.as_str(), prefix.as_str()])
        .with(json!({"provider": provider, "limit": hold.amount, "quote": hold.quote_id, "prefix": prefix}));
    Ok(Done::with_event(Issued { token, plain }, event))
}
