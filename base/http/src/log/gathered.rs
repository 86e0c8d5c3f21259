//! The lines of the log on their way: to one output, gathered for a moment, so that a busy server does not call the kernel once
//! for every request.
//!
//! INVARIANT (bad-news-at-once): a warning or an error, and every line before it, is written before the call that logs it returns.
//! What a crash can take along is what was merely worth knowing, of the last [`GATHERED_FOR`]. Lines are never dropped and never
//! change their order: when more than [`GATHERED_BYTES`] wait, whoever logs writes them.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// How long a line waits for others at most.
const GATHERED_FOR: Duration = Duration::from_millis(10);
/// How much waits at most, in bytes.
const GATHERED_BYTES: usize = 256 * 1024;

/// The writer for `tracing_subscriber`, cheap to clone.
#[derive(Clone)]
pub struct Gathered(Arc<Shared>);

/// Writes what waits when it is dropped, and ends the thread that does so meanwhile.
#[must_use = "the log is only whole when this lives as long as the program"]
pub struct LogEnd(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when there is something where there was nothing, and at the end.
    some: Condvar,
    /// Taken before `waiting`, never after it: who has it writes all that waits before anybody else can write more.
    output: Mutex<Box<dyn Write + Send>>,
}

#[derive(Default)]
struct Waiting {
    lines: Vec<u8>,
    /// Nobody gathers any more: each line is written at once.
    ended: bool,
}

impl Gathered {
    /// A log on this output, with a thread of its own that writes; where there can be no thread, each line is written at once.
    pub fn start(output: impl Write + Send + 'static) -> (Self, LogEnd) {
        let (waiting, some, output) = (Mutex::default(), Condvar::new(), Mutex::new(Box::new(output) as Box<dyn Write + Send>));
        let shared = Arc::new(Shared { waiting, some, output });
        let writes = shared.clone();
        if thread::Builder::new().name("log".to_owned()).spawn(move || writes.write_until_the_end()).is_err() {
            shared.waiting().ended = true;
        }
        (Self(shared.clone()), LogEnd(shared))
    }
}

impl Drop for LogEnd {
    fn drop(&mut self) {
        self.0.waiting().ended = true;
        self.0.some.notify_all();
        self.0.write_what_waits();
    }
}

impl<'a> MakeWriter<'a> for Gathered {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { log: &self.0, at_once: false }
    }

    fn make_writer_for(&'a self, of: &Metadata<'_>) -> Line<'a> {
        Line { log: &self.0, at_once: *of.level() <= Level::WARN }
    }
}

/// One line on its way.
pub struct Line<'a> {
    log: &'a Shared,
    at_once: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (was_empty, bytes_waiting, ended) = {
            let mut waiting = self.log.waiting();
            let was_empty = waiting.lines.is_empty();
            waiting.lines.extend_from_slice(bytes);
            (was_empty, waiting.lines.len(), waiting.ended)
        };
        if self.at_once || ended || bytes_waiting > GATHERED_BYTES {
            self.log.write_what_waits();
        } else if was_empty {
            self.log.some.notify_one();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn write_until_the_end(&self) {
        loop {
            let some = self.some.wait_while(self.waiting(), |w| w.lines.is_empty() && !w.ended).unwrap_or_else(PoisonError::into_inner);
            let waited = self.some.wait_timeout_while(some, GATHERED_FOR, |w| !w.ended);
            let ended = waited.unwrap_or_else(PoisonError::into_inner).0.ended;
            self.write_what_waits();
            if ended {
                return;
            }
        }
    }

    /// When the output takes no more there is nowhere to say so.
    fn write_what_waits(&self) {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = std::mem::take(&mut self.waiting().lines);
        let _ = output.write_all(&lines).and_then(|()| output.flush());
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// Hands on each write that the kernel would get.
    struct Kernel(Sender<String>);

    impl Write for Kernel {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn start() -> (Gathered, LogEnd, Receiver<String>) {
        let (kernel, calls) = channel();
        let (log, end) = Gathered::start(Kernel(kernel));
        (log, end, calls)
    }

    /// A line that can wait, and one that cannot.
    fn line(log: &Gathered, at_once: bool, text: &str) {
        Line { log: &log.0, at_once }.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_line_is_written_soon_although_nothing_follows() {
        let (log, _end, calls) = start();
        line(&log, false, "one\n");
        assert_eq!(calls.recv_timeout(Duration::from_secs(10)).unwrap(), "one\n");
    }

    #[test]
    fn a_warning_is_written_before_its_call_returns_and_takes_the_lines_before_it_along() {
        let (log, _end, calls) = start();
        line(&log, false, "one\n");
        line(&log, true, "two\n");
        assert_eq!(calls.try_iter().collect::<String>(), "one\ntwo\n");
    }

    #[test]
    fn the_end_writes_what_waits_and_what_comes_after_it() {
        let (log, end, calls) = start();
        line(&log, false, "one\n");
        drop(end);
        line(&log, false, "two\n");
        assert_eq!(calls.try_iter().collect::<String>(), "one\ntwo\n");
    }

    #[test]
    fn many_lines_are_few_calls_and_none_is_lost_or_out_of_order() {
        let (log, end, calls) = start();
        let all: Vec<String> = (0..20_000).map(|n| format!("line {n}\n")).collect();
        for one in &all {
            line(&log, false, one);
        }
        drop(end);
        let written: Vec<String> = calls.try_iter().collect();
        assert!(written.len() < all.len() / 20, "{} calls", written.len());
        assert_eq!(written.concat(), all.concat());
    }

    #[test]
    fn warnings_and_errors_are_what_does_not_wait() {
        let (log, end, calls) = start();
        let subscriber = tracing_subscriber::fmt().with_writer(log).with_ansi(false).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("worth knowing");
            tracing::warn!("worth a look");
        });
        let written: String = calls.try_iter().collect();
        assert!(written.contains("worth knowing") && written.contains("worth a look"), "{written}");
        drop(end);
    }
}
