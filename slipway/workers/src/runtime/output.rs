//! What a process prints: passed to the log, and its last lines kept for an error message.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::limits;

/// How the allocator says that it got no more: code sees an exception then, and the process goes on.
const NO_MEMORY: [&str; 2] = ["system_allocator.h", "Cannot allocate memory"];

/// The last lines of one process, and how often its allocator got nothing.
#[derive(Clone, Default)]
pub struct Output(Arc<Said>);

#[derive(Default)]
struct Said {
    lines: Mutex<VecDeque<String>>,
    refusals: AtomicU64,
}

impl Output {
    /// Reads until the end, line by line. A tenant decides what is in there: lines are cut, and logged below `info`.
    pub fn follow(&self, mut pipe: impl AsyncRead + Unpin + Send + 'static, account: Arc<str>) -> tokio::task::JoinHandle<()> {
        let output = self.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0_u8; 4096];
            let mut line = Vec::new();
            while let Ok(n @ 1..) = pipe.read(&mut buffer).await {
                for byte in &buffer[..n] {
                    match byte {
                        b'\n' => output.push(&std::mem::take(&mut line), &account),
                        _ if line.len() < limits::LOG_LINE_BYTES => line.push(*byte),
                        _ => {}
                    }
                }
            }
            if !line.is_empty() {
                output.push(&line, &account);
            }
        })
    }

    fn push(&self, line: &[u8], account: &str) {
        let line = String::from_utf8_lossy(line).into_owned();
        tracing::debug!(account, line = %line.escape_debug(), "worker output");
        if NO_MEMORY.iter().all(|sign| line.contains(sign)) {
            self.0.refusals.fetch_add(1, Ordering::Relaxed);
        }
        let mut lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == limits::LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// How often memory was asked for and not given. Code can print the same, and accuses itself.
    #[must_use]
    pub fn refusals(&self) -> u64 {
        self.0.refusals.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.0.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
