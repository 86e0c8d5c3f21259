//! Where money is set aside: purchases that are made at the same time go to the store as one batch.
//!
//! What [`crate::perform`] does for one use case the till does for many: one durable write owns their holds, what else belongs to
//! each, their audit entries and their jobs. A purchase that is refused undoes nothing of its neighbours', and its refusal is recorded.

use std::sync::{Arc, OnceLock};

use purser_authority::action::ResourceAdd;
use purser_authority::{Attempt, Done, Event, Permit};
use purser_db::jobs::NewJob;
use purser_db::{DbError, Gather, Tx, jobs};
use purser_spend::hold::{self, Hold, Purchase};
use purser_spend::token::TokenError;
use purser_values::Env;
use purser_values::error::{Kind, PublicError as _};
use purser_values::id::HoldId;

use crate::core::Core;
use crate::error::{OpError, PayError};
use crate::perform::{is_refusal, refused};

/// The till of this process, cheap to clone. Its task starts with the first purchase.
#[derive(Clone, Debug, Default)]
pub(crate) struct Till(Arc<OnceLock<Gather<Order, Answer>>>);

/// The hold, and what its completion answered.
type Answer = Result<(HoldId, String), PayError>;
type Prepare = dyn Fn(&mut Tx<'_>) -> Result<Prepared, PayError> + Send + Sync;
type Complete = dyn Fn(&mut Tx<'_>, &Hold) -> Result<Done<String>, PayError> + Send + Sync;

/// What is bought, and by which right.
pub(crate) struct Prepared {
    pub permit: Permit<ResourceAdd>,
    pub purchase: Purchase,
    /// Whether what is bought beside it in the same write matters to it: it was prepared without knowing of that.
    pub alone: bool,
}

/// One purchase that wants its money set aside. Its parts are closures, because they run in the write and perhaps more than once.
pub(crate) struct Order {
    pub attempt: Attempt,
    /// What is bought and by which right, from what is true in this write.
    pub prepare: Box<Prepare>,
    /// What belongs to the same write once the money is set aside.
    pub complete: Box<Complete>,
}

impl Till {
    /// Sets the money aside, or refuses; see [`purser_spend::hold::place_all`].
    ///
    /// # Errors
    /// What a part of the order answers, why nothing is set aside, or a failure of the store.
    pub async fn take(&self, core: &Core, order: Order) -> Answer {
        let gather = self.0.get_or_init(|| {
            let env = core.env.clone();
            Gather::start(core.db.clone(), move |tx, orders| run(tx, &env, orders))
        });
        let answer = gather.ask(order).await?;
        core.audit.wake();
        core.jobs.notify_one();
        answer
    }
}

fn run(tx: &mut Tx<'_>, env: &Env, orders: &[Order]) -> Result<Vec<Answer>, DbError> {
    if let [order] = orders {
        return alone(tx, env, order).map(|answer| vec![answer]);
    }
    let mut prepared = Vec::with_capacity(orders.len());
    for order in orders {
        prepared.push(own(tx.savepoint(|tx| (order.prepare)(tx)))?);
    }
    let together = prepared.iter().flatten().filter(|prepared| !prepared.alone);
    let asks: Vec<hold::Ask<'_>> = together.map(|prepared| (&prepared.permit, &prepared.purchase)).collect();
    let mut held = hold::place_all(tx, env, &asks)?.into_iter();
    let (mut events, mut follow, mut answers) = (Vec::new(), Vec::new(), Vec::with_capacity(orders.len()));
    for (order, prepared) in orders.iter().zip(prepared) {
        let held = match prepared {
            // Prepared anew, when those before it have set aside what they may.
            Ok(Prepared { alone: true, .. }) => {
                answers.push(alone(tx, env, order)?);
                continue;
            }
            Ok(_) => held.next().unwrap_or(Err(DbError::NoRow.into())).map_err(PayError::from),
            Err(e) => Err(e),
        };
        answers.push(match own(held)? {
            Ok(mut done) => {
                // A hold that cannot be completed must not stay; alone, it is undone with its refusal recorded.
                let completed = tx.savepoint(|tx| (order.complete)(tx, &done.value));
                let completed = own(completed)?.map_err(|e| DbError::Other(format!("a purchase was not completed: {e}")))?;
                let said = done.absorb(completed);
                events.append(&mut done.events);
                follow.append(&mut done.jobs);
                Ok((done.value.id, said))
            }
            Err(e) => {
                events.extend(refused(&order.attempt, &e));
                Err(e)
            }
        });
    }
    record(tx, env, &events, &follow)?;
    Ok(answers)
}

/// One order, all of which is undone when a part of it is refused.
fn alone(tx: &mut Tx<'_>, env: &Env, order: &Order) -> Result<Answer, DbError> {
    let outcome = tx.savepoint(|tx| -> Result<Done<(HoldId, String)>, PayError> {
        let Prepared { permit, purchase, .. } = (order.prepare)(tx)?;
        let mut done = hold::place(tx, env, &permit, &purchase)?;
        let completed = (order.complete)(tx, &done.value)?;
        let said = done.absorb(completed);
        Ok(done.map(|hold| (hold.id, said)))
    });
    match own(outcome)? {
        Ok(done) => {
            record(tx, env, &done.events, &done.jobs)?;
            Ok(Ok(done.value))
        }
        Err(e) => {
            let events: Vec<Event> = refused(&order.attempt, &e).into_iter().collect();
            record(tx, env, &events, &[])?;
            Ok(Err(e))
        }
    }
}

/// A refusal is one order's own answer; a failure of ours is that of the whole write.
fn own<T>(outcome: Result<T, PayError>) -> Result<Result<T, PayError>, DbError> {
    match outcome {
        Err(e) if !is_refusal(e.kind()) => Err(match e {
            PayError::Store(e)
            | PayError::Op(OpError::Store(e))
            | PayError::Hold(hold::HoldError::Store(e))
            | PayError::Token(TokenError::Store(e)) => e,
            other if other.kind() == Kind::Unavailable => DbError::Unavailable(other.to_string()),
            other => DbError::Other(other.to_string()),
        }),
        outcome => Ok(outcome),
    }
}

fn record(tx: &mut Tx<'_>, env: &Env, events: &[Event], follow: &[NewJob]) -> Result<(), DbError> {
    purser_audit::append(tx, env, events)?;
    follow.iter().try_for_each(|job| jobs::enqueue(tx, env, job).map(drop))
}
