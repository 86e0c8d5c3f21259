//! Demands for ransom: notes that tell a victim that files are encrypted, whom to pay, and what happens otherwise.
//!
//! Ten groups of words; a note of any family speaks of most of them, other writing of few. Four groups or more in one
//! file are a note. How many real notes and how much other writing these groups find was not measured (`docs/abuse.md`).

use super::reason;
use crate::verdict::{Action, Reason, Sign};

/// From here on it is a note.
const ENOUGH: usize = 4;

/// A note says it within this many bytes; what comes after is not read for this.
const READ: usize = 64 * 1024;

const GROUPS: [(&str, &[&str]); 10] = [
    (
        "files are encrypted",
        &[
            "files have been encrypted",
            "files are encrypted",
            "files were encrypted",
            "data has been encrypted",
            "data is encrypted",
            "encrypted your",
            "encrypted all",
            "have been locked",
            "your network has been",
            "were locked",
        ],
    ),
    (
        "a key or tool to decrypt",
        &[
            "decryptor",
            "decryption key",
            "private key",
            "decryption tool",
            "decrypt your files",
            "restore your files",
            "recover your files",
            "unlock your files",
            "decryption software",
        ],
    ),
    ("a payment", &["bitcoin", "btc", "monero", "xmr", "ransom", "payment", "pay us", "pay for"]),
    ("a hidden service", &[".onion", "tor browser", "torproject"]),
    (
        "a secret contact",
        &[
            "protonmail",
            "proton.me",
            "tutanota",
            "onionmail",
            "qtox",
            "tox id",
            "session id",
            "jabber",
            "telegram",
            "write to our",
            "contact us",
            "email us",
            "write us",
        ],
    ),
    (
        "a deadline",
        &[
            "48 hours",
            "72 hours",
            "24 hours",
            "within 3 days",
            "days left",
            "price will be doubled",
            "doubled",
            "deadline",
            "time is limited",
            "hours left",
        ],
    ),
    (
        "a proof",
        &[
            "free decryption",
            "decrypt one file",
            "decrypt 1 file",
            "decrypt 2 files",
            "decrypt 3 files",
            "test file",
            "as a guarantee",
            "guarantee that",
            "proof that we",
            "as proof",
        ],
    ),
    (
        "a threat to publish",
        &[
            "will be published",
            "leak your",
            "publish your",
            "sold to",
            "stolen data",
            "downloaded your",
            "exfiltrated",
            "your data will be",
            "public access",
            "data leak",
        ],
    ),
    (
        "a warning not to touch",
        &[
            "do not rename",
            "don't rename",
            "do not modify",
            "do not try to",
            "don't try to",
            "third-party software",
            "third party software",
            "permanent data loss",
            "permanently lost",
            "do not delete",
            "do not use third",
        ],
    ),
    (
        "a name for the victim",
        &["personal id", "your id", "personal key", "decryption id", "unique id", "your key:", "client id", "unique code", "personal code"],
    ),
];

/// Nothing for texts that are no note.
pub(super) fn find(text: &str, path: &str) -> Option<Reason> {
    let end = (0..=READ.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let text = text[..end].to_lowercase();
    let said: Vec<&str> =
        GROUPS.iter().filter(|(_, phrases)| phrases.iter().any(|phrase| text.contains(phrase))).map(|(name, _)| *name).collect();
    if said.len() < ENOUGH {
        return None;
    }
    let score = u16::try_from(said.len() * 100).unwrap_or(1000);
    let words = format!("`{path}` reads like a demand for ransom: {}", said.join(", "));
    Some(reason(Sign::RansomNote, Action::Review, score, words, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = "All your files have been encrypted!\nTo get the decryptor, write us: help@proton.me, personal ID 7731.\n\
        You pay in Bitcoin within 72 hours, later the price will be doubled. We decrypt one file as proof.\n\
        Do not rename encrypted files. If you do not pay, your data will be published.";

    #[test]
    fn a_note_is_found_and_writing_about_notes_is_not() {
        assert_eq!(find(NOTE, "/READ_ME.txt").map(|it| it.sign), Some(Sign::RansomNote));
        for ordinary in [
            "pgp-tool: encrypt and decrypt your files. The private key never leaves your machine. Contact us: dev@example.com",
            "Pay with Bitcoin or by card. Payment is due within 3 days. Write to our support if you have questions.",
            "Ransomware: what it is and how to protect yourself. Attackers encrypt files and ask for a payment. Keep backups.",
        ] {
            assert_eq!(find(ordinary, "/index.html"), None, "{ordinary}");
        }
    }
}
