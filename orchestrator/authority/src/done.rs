//! What a use case returns.

use purser_db::jobs::NewJob;

use crate::caller::Caller;
use crate::event::Event;

/// A value with the events that record it and the jobs that follow from it; all three are written in one write.
#[derive(Debug)]
#[must_use = "the events and jobs must be written"]
pub struct Done<T> {
    pub value: T,
    pub events: Vec<Event>,
    pub jobs: Vec<NewJob>,
}

impl<T> Done<T> {
    /// A value of which there is nothing to record: looking, or a step whose caller records the whole.
    pub const fn quiet(value: T) -> Self {
        Self { value, events: Vec::new(), jobs: Vec::new() }
    }

    pub fn with_event(value: T, event: Event) -> Self {
        Self { value, events: vec![event], jobs: Vec::new() }
    }

    pub fn and_event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    pub fn and_job(mut self, job: NewJob) -> Self {
        self.jobs.push(job);
        self
    }

    /// Takes over the events and jobs of a part, and gives its value.
    pub fn absorb<U>(&mut self, part: Done<U>) -> U {
        self.events.extend(part.events);
        self.jobs.extend(part.jobs);
        part.value
    }

    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Done<U> {
        Done { value: f(self.value), events: self.events, jobs: self.jobs }
    }
}

/// What is being tried, so that a refusal can be recorded even though its write is undone.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub verb: &'static str,
    pub caller: Caller,
    pub subject: String,
}

impl Attempt {
    #[must_use]
    pub fn new(verb: &'static str, caller: &Caller, subject: impl Into<String>) -> Self {
        Self { verb, caller: caller.clone(), subject: subject.into() }
    }
}
