//! Messages of queues on their way to Workers.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use slipway_stores::limits::QUEUE_LEASE_MS;
use slipway_stores::queue::Content as Kept;
use slipway_stores::queue::deliver::{Consumer, Deliver, Delivered};
use slipway_stores::queue::metrics::Metrics;
use slipway_stores::queue::settle::Fate;
use slipway_stores::queue::take::Taken;
use slipway_workers::limits::EVENT;
use slipway_workers::runtime::event::{Backlog, Content, Event, Handled, QueueMessage};
use slipway_workers::{Workers, WorkersError};

/// A batch stays hidden for longer than a Worker may work on it, or it would be delivered again meanwhile.
const _: () = assert!(QUEUE_LEASE_MS.cast_unsigned() > EVENT.as_secs() * 1_000);

/// The runtime as whoever runs consumers.
pub struct WorkersDeliver(pub Workers);

impl Deliver for WorkersDeliver {
    fn deliver<'a>(
        &'a self,
        to: &'a Consumer,
        messages: &'a [Taken],
        left: Metrics,
    ) -> Pin<Box<dyn Future<Output = Delivered> + Send + 'a>> {
        Box::pin(async move {
            let Ok(script) = to.script.parse() else { return Delivered::Unseen };
            let count = |n: i64| u64::try_from(n).unwrap_or(0);
            let backlog = Backlog { count: count(left.messages), bytes: count(left.bytes), oldest: left.oldest };
            let event = Event::Queue { queue: to.queue.clone(), messages: messages.iter().map(message).collect(), backlog };
            match self.0.dispatch(&to.account, &script, event).await {
                Ok(handled) => fates(handled),
                // messages wait, and no try counts, while there is nobody to take them or nothing to call them with
                Err(WorkersError::ScriptNotFound | WorkersError::UsedUp) => Delivered::Unseen,
                Err(e) => {
                    // whether code saw them is unknown, so it counts as a try
                    tracing::warn!(account = %to.account, queue = to.queue, script = to.script, error = %e, "a batch of messages was not handled");
                    Delivered::Handled(Fate::Again(None), HashMap::new())
                }
            }
        })
    }
}

fn message(taken: &Taken) -> QueueMessage {
    QueueMessage {
        id: taken.id.clone(),
        at: taken.sent_at,
        attempts: u16::try_from(taken.attempts).unwrap_or(u16::MAX),
        content: match taken.content {
            Kept::Text => Content::Text,
            Kept::Json => Content::Json,
            Kept::Bytes => Content::Bytes,
            Kept::V8 => Content::V8,
        },
        body: Bytes::from(taken.body.clone()),
    }
}

/// What a handler said, as queues weigh it: a batch that failed comes again, but for what was taken by name before; one that did not is taken,
/// but for what was asked for again.
fn fates(handled: Handled) -> Delivered {
    let again = |delay: Option<u32>| Fate::Again(delay.map(i64::from));
    let failed = handled.outcome != "ok" && !handled.ack_all;
    let others = match handled.retry_batch {
        Some(delay) => again(delay),
        None if failed => again(None),
        None => Fate::Done,
    };
    let mut named: HashMap<String, Fate> = handled.retried.into_iter().map(|(id, delay)| (id, again(delay))).collect();
    named.extend(handled.acked.into_iter().map(|id| (id, Fate::Done)));
    Delivered::Handled(others, named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_batch_comes_again_but_for_what_was_taken_and_a_good_one_goes_but_for_what_is_wanted_again() {
        let good = Handled { outcome: "ok".into(), retried: vec![("b".into(), Some(7))], ..Handled::default() };
        let named = HashMap::from([("b".to_owned(), Fate::Again(Some(7)))]);
        assert_eq!(fates(good), Delivered::Handled(Fate::Done, named));
        let failed = Handled { outcome: "exception".into(), acked: vec!["a".into()], ..Handled::default() };
        assert_eq!(fates(failed), Delivered::Handled(Fate::Again(None), HashMap::from([("a".to_owned(), Fate::Done)])));
        let whole = Handled { outcome: "ok".into(), retry_batch: Some(Some(3)), ..Handled::default() };
        assert_eq!(fates(whole), Delivered::Handled(Fate::Again(Some(3)), HashMap::new()));
    }
}
