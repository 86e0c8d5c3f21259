//! Cron triggers: which there are, and calling the Workers when they are due.
//!
//! INVARIANT (once-a-minute): the next time is committed before the Worker is called, so a crash may lose one call and never
//! repeats one. What came due while slipway was down is called once if it is recent, and skipped otherwise.

use std::sync::{Arc, Weak};
use std::time::Duration;

use purser_values::id::CloudAccountId;

use crate::cron::Cron;
use crate::error::WorkersError;
use crate::name::ScriptName;
use crate::runtime::dispatch::DispatchError;
use crate::runtime::event::Event;
use crate::store::schedule::{self, Due};
use crate::store::script;
use crate::view::Schedule;
use crate::workers::{Inner, Workers};

/// How often it is looked what is due.
const LOOK: Duration = Duration::from_secs(1);
/// What is later than this is skipped, in microseconds.
const LATE_US: i64 = 5 * 60 * 1_000_000;
/// Triggers of one Worker and of one account.
const EACH: usize = 50;
const ALL: i64 = 250;

impl Workers {
    /// # Errors
    /// [`WorkersError::ScriptNotFound`].
    pub async fn schedule_list(&self, account: &CloudAccountId, name: &ScriptName) -> Result<Vec<Schedule>, WorkersError> {
        self.script(account, name).await?;
        let (account, name) = (account.clone(), name.clone());
        Ok(self.0.db.read(move |tx| schedule::list(tx, &account, &name)).await?)
    }

    /// Replaces the triggers of a Worker.
    ///
    /// # Errors
    /// [`WorkersError::ScriptNotFound`]; [`WorkersError::Invalid`] for what is no trigger, or too many.
    pub async fn schedule_put(&self, account: &CloudAccountId, name: &ScriptName, crons: &[String]) -> Result<Vec<Schedule>, WorkersError> {
        if crons.len() > EACH {
            return Err(WorkersError::Invalid(format!("a Worker may have {EACH} cron triggers")));
        }
        let now = self.0.env.now();
        let mut wanted = Vec::new();
        for text in crons {
            let cron: Cron = text.parse().map_err(|e: crate::cron::ParseCronError| WorkersError::Invalid(e.to_string()))?;
            if let Some(next) = cron.after(now) {
                wanted.push((text.clone(), next));
            }
        }
        let (account, name) = (account.clone(), name.clone());
        let put = self.change(move |tx| {
            if script::get(tx, &account, &name)?.is_none() {
                return Err(WorkersError::ScriptNotFound);
            }
            schedule::put(tx, &account, &name, &wanted, now)?;
            if schedule::count(tx, &account)? > ALL {
                return Err(WorkersError::Invalid(format!("an account may have {ALL} cron triggers")));
            }
            Ok(schedule::list(tx, &account, &name)?)
        });
        put.await
    }
}

/// Calls what is due, until the service is dropped.
pub(crate) async fn keep_time(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(LOOK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        if let Err(e) = call_due(&inner).await {
            tracing::error!(error = %e, "cron triggers that are due could not be called");
        }
    }
}

async fn call_due(inner: &Arc<Inner>) -> Result<(), WorkersError> {
    let now = inner.env.now();
    for due in inner.db.read(move |tx| schedule::due(tx, now)).await? {
        let Some(next) = due.cron.parse::<Cron>().ok().and_then(|cron| cron.after(now)) else { continue };
        let moved = {
            let due = due.clone();
            inner.db.write(move |tx| schedule::advance(tx, &due, next)).await?
        };
        if moved && now.micros_since(due.at) <= LATE_US {
            tokio::spawn(call(inner.clone(), due));
        }
    }
    Ok(())
}

async fn call(inner: Arc<Inner>, due: Due) {
    let Due { account, script, cron, at } = due;
    let event = Event::Scheduled { cron, at };
    match inner.runtime.dispatch(&account, &script, &event).await {
        Ok(handled) => tracing::debug!(%account, %script, outcome = handled.outcome, "a cron trigger was called"),
        Err(DispatchError::UsedUp) => tracing::info!(%account, %script, "a cron trigger was skipped: its account has used up what it has"),
        Err(e) => tracing::warn!(%account, %script, error = %e, "a cron trigger could not be called"),
    }
}
