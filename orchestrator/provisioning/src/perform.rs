//! One write owns a change, its audit events, its jobs and its outgoing messages.

use purser_authority::{Attempt, Caller, Done, Event, Outcome};
use purser_db::{Db, DbError, Tx, jobs};
use purser_values::Env;
use purser_values::error::{Kind, PublicError};

use crate::core::Core;

/// Runs a use case in one durable write, together with the events that record it and the jobs that follow.
///
/// A refusal undoes whatever the use case changed and is itself recorded in the same write, except for nobody in particular
/// (anonymous callers could otherwise fill the log) and for our own failures, which undo all.
///
/// # Errors
/// What the use case answers, or a failure of the store.
pub async fn perform<T, E, F>(core: &Core, attempt: Attempt, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<DbError> + PublicError + Send + 'static,
    F: Fn(&mut Tx<'_>) -> Result<Done<T>, E> + Send + 'static,
{
    let outcome = write(&core.db, &core.env, attempt, work).await?;
    core.audit.wake();
    core.jobs.notify_one();
    outcome
}

/// The same for the operator's own process beside the one that serves: that one finds the jobs and goes on with the log by itself.
///
/// # Errors
/// As [`perform`].
pub async fn perform_beside<T, E, F>(db: &Db, env: &Env, attempt: Attempt, work: F) -> Result<T, E>
where
    T: Send + 'static,
    E: From<DbError> + PublicError + Send + 'static,
    F: Fn(&mut Tx<'_>) -> Result<Done<T>, E> + Send + 'static,
{
    write(db, env, attempt, work).await?
}

async fn write<T, E, F>(db: &Db, env: &Env, attempt: Attempt, work: F) -> Result<Result<T, E>, E>
where
    T: Send + 'static,
    E: From<DbError> + PublicError + Send + 'static,
    F: Fn(&mut Tx<'_>) -> Result<Done<T>, E> + Send + 'static,
{
    let env = env.clone();
    db.write(move |tx| -> Result<Result<T, E>, E> {
        match tx.savepoint(&work) {
            Ok(done) => {
                purser_audit::append(tx, &env, &done.events)?;
                for job in &done.jobs {
                    jobs::enqueue(tx, &env, job)?;
                }
                Ok(Ok(done.value))
            }
            Err(e) if is_refusal(e.kind()) => {
                let event: Vec<Event> = refused(&attempt, &e).into_iter().collect();
                purser_audit::append(tx, &env, &event)?;
                Ok(Err(e))
            }
            Err(e) => Err(e),
        }
    })
    .await
}

/// The entry that records a refusal, except for nobody in particular.
pub fn refused(attempt: &Attempt, e: &impl PublicError) -> Option<Event> {
    let outcome = Outcome::Refused(e.code().to_owned());
    (attempt.caller != Caller::Anonymous).then(|| Event::new(attempt.verb, outcome, &attempt.caller, attempt.subject.clone()))
}

pub const fn is_refusal(kind: Kind) -> bool {
    !matches!(kind, Kind::Internal | Kind::Unavailable)
}
