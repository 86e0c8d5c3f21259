//! Events that are no requests of visitors: a cron trigger fired, a queue has messages.

use bytes::Bytes;
use purser_values::Timestamp;

/// Something that a Worker handles.
#[derive(Clone, Debug)]
pub enum Event {
    /// `cron` is the trigger as its author wrote it; `at` is when it was due.
    Scheduled { cron: String, at: Timestamp },
    /// Messages of one queue, as one batch.
    Queue { queue: String, messages: Vec<QueueMessage>, backlog: Backlog },
}

/// What is left in the queue, for the handler to read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backlog {
    pub count: u64,
    pub bytes: u64,
    pub oldest: Option<Timestamp>,
}

/// One message of a batch.
#[derive(Clone, Debug)]
pub struct QueueMessage {
    pub id: String,
    pub at: Timestamp,
    /// Counts this delivery; the first is 1.
    pub attempts: u16,
    pub content: Content,
    pub body: Bytes,
}

/// What a message's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    Text,
    Json,
    Bytes,
    /// A value as V8 serialises it.
    V8,
}

/// What the Worker made of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handled {
    /// `ok`, or what ended it: `exception`, `exceededCpu`, …
    pub outcome: String,
    /// A cron handler asked not to be called again for this event.
    pub no_retry: bool,
    pub ack_all: bool,
    /// The whole batch again; the number is the delay in seconds, if one was named.
    pub retry_batch: Option<Option<u32>>,
    /// Ids of messages that were taken one by one.
    pub acked: Vec<String>,
    /// Ids of messages that are wanted again, each with its delay in seconds.
    pub retried: Vec<(String, Option<u32>)>,
}
