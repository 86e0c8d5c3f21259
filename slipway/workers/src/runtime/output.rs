//! What a process prints: passed to the log, and its last lines kept for an error message.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::limits;

/// The last lines of one process.
#[derive(Clone, Default)]
pub struct Output(Arc<Mutex<VecDeque<String>>>);

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
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == limits::LOG_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    #[must_use]
    pub fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}
