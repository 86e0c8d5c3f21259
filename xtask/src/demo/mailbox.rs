//! The development mailbox: a folder with one `.eml` file per message.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::fail::{Failure, Outcome};

const DEADLINE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub struct Mailbox {
    folder: PathBuf,
    seen: BTreeSet<PathBuf>,
}

impl Mailbox {
    /// A mailbox whose present messages are old.
    pub fn open(folder: &Path) -> Self {
        let mut mailbox = Self { folder: folder.to_path_buf(), seen: BTreeSet::new() };
        mailbox.seen = mailbox.messages();
        mailbox
    }

    /// Waits for the sign-in code in a new message to an address.
    pub fn code_for(&mut self, address: &str) -> Outcome<String> {
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            if let Some(code) = self.new_code(address) {
                return Ok(code);
            }
            std::thread::sleep(POLL);
        }
        Err(Failure::new(format!("no sign-in code for `{address}` arrived in `{}`", self.folder.display())))
    }

    /// The code in a message that arrived since the last look.
    pub fn new_code(&mut self, address: &str) -> Option<String> {
        for file in self.messages() {
            // a file may be seen before its text is whole: only a message with a code counts as read
            let Some(code) =
                (!self.seen.contains(&file)).then(|| fs::read_to_string(&file).ok()).flatten().and_then(|it| code_in(&it, address))
            else {
                continue;
            };
            self.seen.insert(file);
            return Some(code);
        }
        None
    }

    fn messages(&self) -> BTreeSet<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return BTreeSet::new() };
        entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "eml")).collect()
    }
}

/// The six digits that stand alone in a message to this address; an empty address takes any message.
fn code_in(message: &str, address: &str) -> Option<String> {
    let message = message.replace("\r\n", "\n");
    let (head, body) = message.split_once("\n\n")?;
    let to_us = head.lines().any(|line| line.to_ascii_lowercase().starts_with("to:") && line.contains(address));
    let mut words = body.split(|c: char| !c.is_ascii_alphanumeric());
    to_us.then(|| words.find(|word| word.len() == 6 && word.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_six_digits_alone_in_a_message_to_the_address() {
        let message = "From: x\r\nTo: a@example.test\r\nDate: 123456\r\n\r\nRequest 1234567.\r\nYour code: 904 then 650321.\r\n";
        assert_eq!(code_in(message, "a@example.test").as_deref(), Some("650321"));
        assert_eq!(code_in(message, "b@example.test"), None);
    }
}
