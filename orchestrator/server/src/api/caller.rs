//! Who calls: an agent or a person's command line, with a DPoP-bound token (RFC 9449).

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use purser_authority::{Attempt, Caller, Denied, Done};
use purser_db::{DbError, Tx};
use purser_http::Problem;
use purser_identity::agent::{self, Agent, Standing};
use purser_identity::{CallContext, Presented, caller_of};
use purser_provisioning::{OpError, perform};
use purser_spend::alert;
use purser_values::error::PublicError as _;
use purser_values::id::AgentId;

use super::Api;

/// An authenticated call.
pub struct Called {
    pub context: CallContext,
    /// Thumbprint of the key that made the proof.
    pub jkt: String,
    /// The caller's idempotency key.
    pub key: Option<String>,
}

/// Longest idempotency key, in characters.
const KEY_CHARS: usize = 128;

impl Called {
    pub fn caller(&self) -> &Caller {
        &self.context.caller
    }
}

impl FromRequestParts<Api> for Called {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let token = one(parts, AUTHORIZATION.as_str())?.and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("DPoP").then(|| token.trim_start().to_owned())
        });
        let token = token.ok_or_else(|| Problem::from(purser_authority::Denied::Anonymous))?;
        let proof = one(parts, "dpop")?.ok_or_else(|| Problem::from(purser_authority::Denied::Anonymous))?;
        let key = one(parts, "idempotency-key")?;
        if key.as_ref().is_some_and(|key| key.is_empty() || key.len() > KEY_CHARS || !key.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(Problem::invalid(format!("`Idempotency-Key` must be 1 to {KEY_CHARS} visible characters")));
        }
        let realm = &api.app.realm;
        let presented =
            Presented::check(realm, &token, &proof, parts.method.as_str(), &realm.url(parts.uri.path())).map_err(Problem::from)?;
        let jkt = presented.jkt().to_owned();
        let now = api.app.core.env.now();
        let context = api.app.core.db.write(move |tx| caller_of(tx, now, &presented)).await.map_err(|e| {
            tracing::info!(code = e.code(), "a call was not authenticated");
            Problem::from(e)
        })?;
        if context.frozen {
            return Err(refuse_frozen(api, &context.caller).await);
        }
        Ok(Self { context, jkt, key })
    }
}

/// A frozen agent's token is good for nothing, not even for looking, and each try is recorded.
async fn refuse_frozen(api: &Api, caller: &Caller) -> Problem {
    let agent = caller.agent().cloned();
    let attempt = Attempt::new("token_use", caller, agent.as_ref().map(ToString::to_string).unwrap_or_default());
    let refused = perform(&api.app.core, attempt, move |tx| -> Result<Done<()>, OpError> {
        let by_budget = match &agent {
            Some(agent) => frozen_by_budget(tx, agent)?,
            None => None,
        };
        Err(by_budget.unwrap_or_else(|| Denied::Frozen.into()))
    });
    refused.await.map_or_else(Problem::from, |()| Problem::from(Denied::Frozen))
}

/// Which budget froze the agent, if one did.
fn frozen_by_budget(tx: &mut Tx<'_>, agent: &AgentId) -> Result<Option<OpError>, DbError> {
    let Some(Agent { standing: Standing::Frozen { alert: Some(id), .. }, .. }) = agent::find(tx, agent)? else { return Ok(None) };
    let Some(alert) = alert::find(tx, &id)? else { return Ok(None) };
    let budget = alert.cause.budget().map(|of| of.budget.clone());
    Ok(budget.map(|budget| OpError::FrozenByBudget { said: alert.cause.headline(), budget, alert: id }))
}

/// A header that may be there once.
fn one(parts: &Parts, name: &str) -> Result<Option<String>, Problem> {
    let mut all = parts.headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => {
            value.to_str().map(|v| Some(v.to_owned())).map_err(|_| Problem::invalid(format!("the header `{name}` is not text")))
        }
        (Some(_), Some(_)) => Err(Problem::invalid(format!("the header `{name}` is there twice"))),
    }
}
