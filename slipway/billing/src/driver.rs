//! Takes steps: a write, a question to the payer, a write. Every node runs it from its jobs; two that run it at once ask the same question
//! under the same key, and the first answer counts.

use std::collections::HashMap;
use std::sync::Arc;

use purser_db::jobs::{Handler, Job, JobFailure};
use purser_db::{Db, DbError};
use purser_values::id::{CloudAccountId, CloudResourceId, RefundId};
use slipway_accounts::realm::Realm;

use crate::credit;
use crate::credit::advance::credit_advance;
use crate::limits::STEPS;
use crate::price::Use;
use crate::refund::{self, RefundState};
use crate::subscription::advance::{Step, advance};
use crate::subscription::settle::settle;
use crate::subscription::{self};
use crate::till::{Till, Unanswered};
use crate::usage::release::{next_release, released};
use crate::usage::room::{Room, Want, answered, want};

/// Everything that steps need; cheap to clone.
#[derive(Clone)]
pub struct Billing {
    pub db: Db,
    pub realm: Realm,
    pub till: Arc<dyn Till>,
}

#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Store(#[from] DbError),
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error("the refund was refused: {0}")]
    Refused(String),
}

impl Billing {
    /// Takes every step of a subscription that is due.
    ///
    /// # Errors
    /// When the store fails or the payer does not answer. What was asked is written down; run it again.
    pub async fn run(&self, resource: &CloudResourceId) -> Result<(), RunError> {
        for _ in 0..STEPS {
            if !self.step(resource).await? {
                return self.give_back(resource).await;
            }
        }
        Err(Unanswered("there is more to do than one run does".to_owned()).into())
    }

    /// Tells the payer which blocks of use are not needed.
    async fn give_back(&self, resource: &CloudResourceId) -> Result<(), RunError> {
        loop {
            let of = resource.clone();
            let Some((ask, number)) = self.db.read(move |tx| next_release(tx, &of)).await? else { return Ok(()) };
            self.till.release(&ask).await?;
            let env = self.realm.env.clone();
            self.db.write(move |tx| released(tx, &env, &ask, number)).await?;
        }
    }

    /// Takes one step; tells whether another may be due.
    ///
    /// # Errors
    /// As [`Billing::run`].
    pub async fn step(&self, resource: &CloudResourceId) -> Result<bool, RunError> {
        let (realm, of) = (self.realm.clone(), resource.clone());
        match self.db.write(move |tx| advance(tx, &realm, &of)).await? {
            Step::Wait => Ok(false),
            Step::Again => Ok(true),
            Step::Ask(ask) => {
                let outcome = self.till.charge(&ask).await?;
                let realm = self.realm.clone();
                self.db.write(move |tx| settle(tx, &realm, &ask.id, &outcome)).await?;
                Ok(true)
            }
        }
    }

    /// Gives one refund back.
    ///
    /// # Errors
    /// As [`Billing::run`]; and when the answer is no for good, which a person must see.
    pub async fn give(&self, id: &RefundId) -> Result<(), RunError> {
        let of = id.clone();
        let Some(ask) = self.db.read(move |tx| refund::ask(tx, &of)).await? else { return Ok(()) };
        let outcome = self.till.refund(&ask).await?;
        let (env, id, why) = (self.realm.env.clone(), id.clone(), outcome.message.clone().or(outcome.code.clone()));
        match self.db.write(move |tx| refund::settle(tx, &env, &id, &outcome)).await? {
            RefundState::Refused => Err(RunError::Refused(why.unwrap_or_default())),
            RefundState::Succeeded | RefundState::Intended => Ok(()),
        }
    }

    /// Sets money aside until so much more can be used, or there is no more. Answers what the account may use; nothing without a plan.
    ///
    /// # Errors
    /// As [`Billing::run`].
    pub async fn make_room(&self, account: &CloudAccountId, ahead: &Use) -> Result<Option<Room>, RunError> {
        let of = account.clone();
        let Some(room) = self.db.read(move |tx| crate::usage::room::room(tx, &of)).await? else { return Ok(None) };
        if room.has(ahead) {
            return Ok(Some(room));
        }
        for _ in 0..STEPS {
            let (env, of, more) = (self.realm.env.clone(), account.clone(), ahead.clone());
            match self.db.write(move |tx| want(tx, &env, &of, &more)).await? {
                Want::NoPlan => return Ok(None),
                Want::Enough(room) | Want::Stop(room) => return Ok(Some(room)),
                Want::Ask(ask, number) => {
                    let outcome = self.till.reserve(&ask).await?;
                    self.db.write(move |tx| answered(tx, &ask, number, &outcome)).await?;
                }
            }
        }
        let of = account.clone();
        Ok(self.db.read(move |tx| crate::usage::room::room(tx, &of)).await?)
    }

    /// What the queue does with our kinds of jobs. `after` is called with the resource when its steps are done.
    #[must_use]
    pub fn handlers(&self, after: Arc<dyn Fn(CloudResourceId) + Send + Sync>) -> HashMap<&'static str, Handler> {
        let (billing, refunds) = (self.clone(), self.clone());
        let steps: Handler = Arc::new(move |job: Job| {
            let (billing, after) = (billing.clone(), after.clone());
            Box::pin(async move {
                let resource: CloudResourceId = named(&job, "resource")?;
                let ran = billing.run(&resource).await.map_err(failed);
                after(resource);
                ran
            })
        });
        let give: Handler = Arc::new(move |job: Job| {
            let billing = refunds.clone();
            Box::pin(async move { billing.give(&named(&job, "refund")?).await.map_err(failed) })
        });
        let credits = self.clone();
        let end: Handler = Arc::new(move |job: Job| {
            let billing = credits.clone();
            Box::pin(async move {
                let (realm, id) = (billing.realm.clone(), named(&job, "credit")?);
                let step = billing.db.write(move |tx| credit_advance(tx, &realm, &id)).await;
                step.map_err(|e| failed(e.into()))
            })
        });
        HashMap::from([(subscription::JOB, steps), (refund::JOB, give), (credit::JOB, end)])
    }
}

fn named<T: std::str::FromStr>(job: &Job, name: &str) -> Result<T, JobFailure> {
    let id = job.payload[name].as_str().and_then(|id| id.parse().ok());
    id.ok_or_else(|| JobFailure::Park { why: format!("it names no {name}") })
}

fn failed(e: RunError) -> JobFailure {
    match e {
        RunError::Refused(why) => {
            tracing::error!(why, "a refund was refused: a person must give it back");
            JobFailure::Park { why }
        }
        e @ RunError::Store(DbError::Corrupt(_)) => JobFailure::Park { why: e.to_string() },
        e => JobFailure::Again { why: e.to_string(), limit: None },
    }
}
