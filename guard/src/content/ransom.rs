//! Demands for ransom: notes that tell a victim that files are encrypted, whom to pay, and what happens otherwise.
//!
//! Ten groups of words; a note of any family speaks of most of them, other writing of few. Four groups or more in one
//! file are a note (93.6 % of notes of families not seen before, no false alarm on 1,560 documents; see `docs/abuse.md`).

use super::File;
use crate::verdict::{Action, Reason, Score, Sign};

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

/// Nothing for files that are no note.
pub(super) fn find(file: &File<'_>) -> Option<Reason> {
    let text = String::from_utf8_lossy(&file.bytes[..file.bytes.len().min(READ)]).to_lowercase();
    let said: Vec<&str> =
        GROUPS.iter().filter(|(_, phrases)| phrases.iter().any(|phrase| text.contains(phrase))).map(|(name, _)| *name).collect();
    if said.len() < ENOUGH {
        return None;
    }
    let score = u16::try_from(said.len() * 100).unwrap_or(1000);
    Some(Reason {
        sign: Sign::RansomNote,
        action: Action::Review,
        score: Score::from_thousandths(score),
        words: format!("`{}` reads like a demand for ransom: {}", file.path, said.join(", ")),
        place: Some(file.path.to_owned()),
    })
}
