//! A rail says that a payment is disputed, or how that ended.

use purser_authority::{Caller, Done, Event, Outcome};
use purser_db::jobs::NewJob;
use purser_db::{DbError, Tx, params};
use purser_values::id::{AgentId, ChargeId, OrganisationId};
use purser_values::name::ProviderName;
use purser_values::{Env, Money};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::rail::{self, ChargebackState};
use crate::{charge, hold, limits};

/// The kind of job that tells people of a dispute; its payload is a [`Told`].
pub const JOB: &str = "chargeback";

/// What people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    pub organisation: OrganisationId,
    pub agent: AgentId,
    pub provider: ProviderName,
    pub charge: ChargeId,
    pub amount: Money,
    pub state: ChargebackState,
}

impl Told {
    #[must_use]
    pub fn subject(&self) -> String {
        match self.state {
            ChargebackState::Open => format!("A payment of {} to {} is disputed", self.amount, self.provider),
            ChargebackState::Won | ChargebackState::Lost => format!("The dispute over {} to {} has ended", self.amount, self.provider),
        }
    }

    /// The text, for an agent that people know by a name.
    #[must_use]
    pub fn text(&self, agent_name: &str, card_url: &str) -> String {
        let what = match self.state {
            ChargebackState::Open => {
                "The bank was told that it was not right. Nothing more is charged to that card at this provider until this has ended, or \
                 until you allow it again"
            }
            ChargebackState::Won => "The bank has decided that the payment stands, and charges go on. You can look at it",
            ChargebackState::Lost => "The bank has given the money back. Charges there stay stopped until you allow them again",
        };
        format!(
            "The agent \"{agent_name}\" paid {} to {} with your card (charge {}). {what}: {card_url}\n",
            self.amount, self.provider, self.charge
        )
    }
}

/// Writes the dispute down, or its end. What is no charge of ours is answered with `false`. A dispute that has ended never opens again.
///
/// # Errors
/// When the store fails.
pub fn record(tx: &mut Tx<'_>, env: &Env, rail: &str, news: &rail::Chargeback) -> Result<Done<bool>, DbError> {
    let Some(charge) = charge::by_capture(tx, rail, &news.capture)? else { return Ok(Done::quiet(false)) };
    let Some(id) = &charge.hold else { return Ok(Done::quiet(false)) };
    let hold = hold::find(tx, id)?.ok_or(DbError::NoRow)?;
    let ended_at = (news.state != ChargebackState::Open).then(|| env.now());
    let reason: String = news.reason.chars().take(limits::TEXT_CHARS).collect();
    let insert = "insert into spend_chargeback (rail, reference, charge, organisation, agent, provider, payment_method, amount, currency,
                      reason, state, since, ended_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                  on conflict (rail, reference) do update set state = excluded.state, ended_at = excluded.ended_at
                  where spend_chargeback.state = 'open' and excluded.state <> 'open'";
    let (organisation, agent) = (&hold.spender.organisation, &hold.spender.agent);
    let who = params![rail, news.reference, charge.id, organisation, agent, charge.provider, hold.payment_method];
    let what = params![news.amount.minor(), news.amount.currency(), reason, news.state.name(), env.now(), ended_at];
    if tx.execute(insert, &[who, what].concat())? == 0 {
        return Ok(Done::quiet(true));
    }
    super::keep_stopped(tx, &hold.payment_method)?;
    let told = Told {
        organisation: organisation.clone(),
        agent: agent.clone(),
        provider: charge.provider.clone(),
        charge: charge.id.clone(),
        amount: news.amount,
        state: news.state,
    };
    let event = Event::new("chargeback", Outcome::Done, &Caller::System, charge.id.as_str())
        .in_organisation(organisation)
        .related([hold.id.as_str(), hold.resource.as_str(), agent.as_str(), hold.payment_method.as_str()])
        .with(json!({"amount": news.amount, "provider": charge.provider, "state": news.state, "reason": reason, "rail": rail}));
    let dedupe = Some(format!("{JOB}:{rail}:{}:{}", news.reference, news.state.name()));
    Ok(Done::with_event(true, event).and_job(NewJob { dedupe, ..NewJob::now(env, JOB, json!(told)) }))
}
