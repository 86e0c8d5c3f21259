//! Looking at processes and ending them, through `/proc` and `kill`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// A process, told from a later one with the same number by when it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    started: u64,
    pub command: String,
}

impl Process {
    #[must_use]
    pub fn is_alive(&self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != 'Z')
    }
}

struct Stat {
    parent: u32,
    state: char,
    started: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name in brackets may hold anything, so the fields are counted from its end
    let rest: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat { state: rest.first()?.chars().next()?, parent: rest.get(1)?.parse().ok()?, started: rest.get(19)?.parse().ok()? })
}

/// Everything that descends from a process.
#[must_use]
pub fn descendants(root: u32) -> Vec<Process> {
    let mut children: BTreeMap<u32, Vec<Process>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Some(found) = stat(pid) else { continue };
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        children.entry(found.parent).or_default().push(Process { pid, started: found.started, command });
    }
    let (mut found, mut open) = (Vec::new(), vec![root]);
    while let Some(parent) = open.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            open.push(child.pid);
            found.push(child);
        }
    }
    found
}

/// Sends a signal by name.
pub fn signal(pid: u32, name: &str) {
    signal_to(&pid.to_string(), name);
}

fn signal_to(whom: &str, name: &str) {
    let sent = Command::new("kill").args([&format!("-{name}"), "--", whom]).stderr(std::process::Stdio::null()).status();
    assert!(sent.is_ok(), "`kill` cannot be run");
}

/// Ends a process that leads a group, with its group and everything that descends from it, also what made a group of its own.
pub fn end_all(leader: u32) {
    let below = descendants(leader);
    signal_to(&format!("-{leader}"), "KILL");
    below.iter().filter(|process| process.is_alive()).for_each(|process| signal(process.pid, "KILL"));
}

/// Waits until `met` answers something.
pub async fn until<T>(what: &str, limit: Duration, mut met: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = met().await {
            return found;
        }
        assert!(begun.elapsed() < limit, "not after {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Everything readable below a folder, with its path.
#[must_use]
pub fn files_below(folder: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            found.push((path, bytes));
        }
    }
    found
}
