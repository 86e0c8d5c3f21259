//! Messages at 80 and 100 % of a cap, each once.
//!
//! The row that says an alert was raised and the job that mails it are written in the same write as the capture, so neither
//! a crash nor a race can lose or double it. A cap that is changed can be reached anew, so it is part of the key.

use purser_authority::{Caller, Done, Event};
use purser_db::jobs::NewJob;
use purser_db::{DbError, Tx, params};
use purser_values::id::{AgentId, OrganisationId};
use purser_values::name::ProviderName;
use purser_values::{Env, Money, Month};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::book::Book;
use crate::limits::ALERT_THRESHOLDS;
use crate::pot::{self, Pot};

/// The kind of job that mails an alert; its payload is an [`Alert`].
pub const JOB: &str = "spend_alert";

/// What an alert says. The handler of the job knows the people of the organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    pub organisation: OrganisationId,
    pub agent: AgentId,
    pub provider: ProviderName,
    pub month: Month,
    pub threshold_percent: i64,
    pub cap: Money,
    pub captured: Money,
}

impl Alert {
    #[must_use]
    pub fn subject(&self) -> String {
        format!("{} % of the cap at {} is spent", self.threshold_percent, self.provider)
    }

    /// The text, for an agent that people know by a name.
    #[must_use]
    pub fn text(&self, agent_name: &str, limits_url: &str) -> String {
        let stop = if self.threshold_percent >= 100 {
            "Further purchases there are refused until next month or until you raise the cap."
        } else {
            "It goes on until the cap is reached."
        };
        format!(
            "The agent \"{agent_name}\" has spent {} of {} at {} in {}.\n\n{stop}\n\nYou can raise or lower the cap here: {limits_url}\n",
            self.captured, self.cap, self.provider, self.month
        )
    }
}

/// Raises the alerts that the book has earned and that were not raised yet.
pub(crate) fn raise(tx: &mut Tx<'_>, env: &Env, book: &Book) -> Result<Done<()>, DbError> {
    let mut done = Done::quiet(());
    let captured = pot::position(tx, book)?.captured;
    for threshold in ALERT_THRESHOLDS {
        // Whole numbers only: captured / cap >= threshold / 100, without dividing.
        let reached = i128::from(captured) * 100 >= i128::from(threshold) * i128::from(book.cap.minor());
        if !reached || captured == 0 || !first_time(tx, env, book, threshold)? {
            continue;
        }
        let alert = Alert {
            organisation: book.spender.organisation.clone(),
            agent: book.spender.agent.clone(),
            provider: book.provider.clone(),
            month: book.month,
            threshold_percent: threshold,
            cap: book.cap,
            captured: Money::from_minor(captured, book.currency()),
        };
        let data = json!(alert);
        let dedupe = format!("spend_alert:{}:{}:{}:{threshold}:{}", book.spender.agent, book.provider, book.month, book.cap.minor());
        done = done
            .and_event(
                Event::done("spend_alert", &Caller::System, book.spender.agent.as_str())
                    .in_organisation(&book.spender.organisation)
                    .with(data.clone()),
            )
            .and_job(NewJob { dedupe: Some(dedupe), ..NewJob::now(env, JOB, data) });
    }
    Ok(done)
}

fn first_time(tx: &mut Tx<'_>, env: &Env, book: &Book, threshold: i64) -> Result<bool, DbError> {
    let insert = "insert into spend_alert (agent, provider, month, threshold, cap, at) values ($1, $2, $3, $4, $5, $6)
                  on conflict (agent, provider, month, threshold, cap) do nothing";
    let inserted = tx.execute(insert, params![book.spender.agent, book.provider, book.month, threshold, book.cap.minor(), env.now()])?;
    Ok(inserted == 1)
}
