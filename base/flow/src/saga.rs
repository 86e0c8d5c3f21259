//! What a saga is made of.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use purser_values::id::SagaId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Why a step did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepError {
    /// The same step may work later: the network, a provider that is down, a row that another saga holds.
    Transient { why: String, after_ms: Option<u64> },
    /// Somebody outside has to act first. `on` says who and how, for those who look at the saga; it is there until the step ends.
    Waiting { on: serde_json::Value, after_ms: u64 },
    /// It never will: undo what was begun.
    Permanent(Failure),
}

/// A refusal in the words that the caller sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable code, as in problem documents.
    pub code: String,
    /// Name of the [`purser_values::error::Kind`].
    pub kind: String,
    pub message: String,
    pub hint: Option<String>,
    pub details: Option<serde_json::Value>,
}

impl<E: purser_values::error::PublicError> From<&E> for Failure {
    fn from(e: &E) -> Self {
        Self {
            code: e.code().to_owned(),
            kind: e.kind().name().to_owned(),
            message: e.to_string(),
            hint: Some(e.advice()),
            details: e.details(),
        }
    }
}

impl StepError {
    #[must_use]
    pub fn transient(why: impl ToString) -> Self {
        Self::Transient { why: why.to_string(), after_ms: None }
    }

    /// Sorts a public error by its kind: what may work later is transient, all else permanent.
    #[must_use]
    pub fn of<E: purser_values::error::PublicError>(e: &E) -> Self {
        if e.kind().is_transient() { Self::transient(e) } else { Self::Permanent(Failure::from(e)) }
    }
}

/// What a step knows of the saga around it.
#[derive(Debug, Clone)]
pub struct StepCx {
    pub saga: SagaId,
    pub step: &'static str,
    /// How often this step was tried before.
    pub tries: i64,
    /// What this step waited for when it ran last.
    pub waited: Option<serde_json::Value>,
}

impl StepCx {
    /// The idempotency key of this step, the same at every repetition.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}/{}", self.saga, self.step)
    }
}

pub(crate) type Acting<S> = Pin<Box<dyn Future<Output = Result<S, StepError>> + Send>>;
type Act<S> = Arc<dyn Fn(StepCx, S) -> Acting<S> + Send + Sync>;

/// One step: what it does and how that is undone.
pub struct Step<S> {
    pub name: &'static str,
    pub(crate) act: Act<S>,
    pub(crate) undo: Option<Act<S>>,
}

impl<S: Send + 'static> Step<S> {
    /// A step that needs no undo: it only looks, or what it did is undone by an earlier step's undo.
    pub fn new<F, Fut>(name: &'static str, act: F) -> Self
    where
        F: Fn(StepCx, S) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<S, StepError>> + Send + 'static,
    {
        Self { name, act: Arc::new(move |cx, state| Box::pin(act(cx, state))), undo: None }
    }

    /// Adds the undo. It must also do no harm when the step did nothing, or half of it.
    #[must_use]
    pub fn undo<F, Fut>(mut self, undo: F) -> Self
    where
        F: Fn(StepCx, S) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<S, StepError>> + Send + 'static,
    {
        self.undo = Some(Arc::new(move |cx, state| Box::pin(undo(cx, state))));
        self
    }
}

/// A kind of saga.
pub struct Definition<S> {
    pub kind: &'static str,
    pub steps: Vec<Step<S>>,
}

/// A definition whose state type is hidden, so that one engine runs many kinds.
pub(crate) trait Runnable: Send + Sync {
    fn step_names(&self) -> Vec<&'static str>;
    fn act(&self, index: usize, cx: StepCx, state: &str) -> Acting<String>;
    /// The undo of a step, or nothing to do.
    fn undo(&self, index: usize, cx: StepCx, state: &str) -> Option<Acting<String>>;
}

impl<S: Serialize + DeserializeOwned + Send + 'static> Runnable for Definition<S> {
    fn step_names(&self) -> Vec<&'static str> {
        self.steps.iter().map(|s| s.name).collect()
    }

    fn act(&self, index: usize, cx: StepCx, state: &str) -> Acting<String> {
        run(&self.steps[index].act, cx, state)
    }

    fn undo(&self, index: usize, cx: StepCx, state: &str) -> Option<Acting<String>> {
        self.steps[index].undo.as_ref().map(|undo| run(undo, cx, state))
    }
}

fn run<S: Serialize + DeserializeOwned + Send + 'static>(act: &Act<S>, cx: StepCx, state: &str) -> Acting<String> {
    match serde_json::from_str::<S>(state) {
        Ok(state) => {
            let acting = act(cx, state);
            Box::pin(async move { serde_json::to_string(&acting.await?).map_err(|e| unreadable(&e)) })
        }
        Err(e) => Box::pin(async move { Err(unreadable(&e)) }),
    }
}

/// A state that does not read back is our own fault and must not be guessed at.
fn unreadable(e: &serde_json::Error) -> StepError {
    StepError::Permanent(Failure {
        code: "saga_state_unreadable".to_owned(),
        kind: "internal".to_owned(),
        message: format!("the state of the saga does not read back: {e}"),
        hint: None,
        details: None,
    })
}
