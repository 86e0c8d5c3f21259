//! What ends a call that takes too long or writes too much: looked at every few steps of SQLite's machine, and before each statement.
//!
//! A sorter or a table made for one statement spills into files that have no name and count in nobody's size. What the thread wrote, as the
//! kernel counts it, bounds those too.

use std::fs;
use std::time::{Duration, Instant};

/// Time between two looks at the kernel's count.
const SELDOM: Duration = Duration::from_millis(20);

/// One call's watch.
#[derive(Clone, Copy)]
pub struct Watch {
    begun: Instant,
    time: Duration,
    most: u64,
    before: Option<u64>,
    looked: Instant,
}

impl Watch {
    /// Begins on the thread that runs the call. `most` is what it may write, in bytes.
    pub fn begin(time: Duration, most: u64) -> Self {
        let now = Instant::now();
        Self { begun: now, time, most, before: written(), looked: now }
    }

    /// Whether the call is over.
    pub fn over(&mut self) -> bool {
        let now = Instant::now();
        if now.duration_since(self.begun) > self.time {
            return true;
        }
        if now.duration_since(self.looked) < SELDOM {
            return false;
        }
        self.looked = now;
        self.wrote_too_much()
    }

    pub fn late(&self) -> bool {
        self.begun.elapsed() > self.time
    }

    fn wrote_too_much(&self) -> bool {
        written().zip(self.before).is_some_and(|(now, before)| now.saturating_sub(before) > self.most)
    }
}

/// Bytes that this thread has written since it began (proc(5), `wchar`); nothing where the kernel does not count them.
fn written() -> Option<u64> {
    let text = fs::read_to_string("/proc/thread-self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("wchar:")?.trim().parse().ok())
}
