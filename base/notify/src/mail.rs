//! One message, and its form on the wire.

use std::time::{Duration, SystemTime};

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use purser_values::Timestamp;
use purser_values::name::Email;
use serde::{Deserialize, Serialize};

/// Longest subject, in characters.
const SUBJECT_CHARS: usize = 150;

/// A subject line. Control characters cannot be in it, so it can never end its header and begin another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Subject(String);

impl Subject {
    /// Control characters become spaces; what is too long is cut.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT_CHARS).collect())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Subject {
    fn from(text: String) -> Self {
        Self::new(&text)
    }
}
impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}

/// A plain-text message to one person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    pub to: Email,
    pub subject: Subject,
    pub text: String,
}

/// The text may hold a code, so it is never shown.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mail({:?}, {:?})", self.to, self.subject.as_str())
    }
}

impl Mail {
    /// The message as RFC 5322 text, with a `Message-ID` of its own.
    pub(crate) fn message(&self, from: &Email, id: &str, at: Timestamp) -> Result<Message, lettre::error::Error> {
        let mailbox = |e: &Email| e.as_str().parse::<lettre::Address>().map(|a| Mailbox::new(None, a));
        let date = SystemTime::UNIX_EPOCH + Duration::from_micros(at.as_micros().unsigned_abs());
        let domain = from.as_str().rsplit('@').next().unwrap_or("localhost");
        Message::builder()
            .from(mailbox(from).map_err(|_| lettre::error::Error::MissingFrom)?)
            .to(mailbox(&self.to).map_err(|_| lettre::error::Error::MissingTo)?)
            .subject(self.subject.as_str())
            .date(date)
            .message_id(Some(format!("<{id}@{domain}>")))
            .header(ContentType::TEXT_PLAIN)
            .body(self.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_cannot_begin_another_header() {
        let mail = Mail {
            to: "ada@example.test".parse().unwrap(),
            subject: Subject::new("hello\r\nBcc: eve@example.test"),
            text: "text".to_owned(),
        };
        let message = mail.message(&"purser@localhost".parse().unwrap(), "msg_1", Timestamp::from_secs(1)).unwrap();
        let text = String::from_utf8(message.formatted()).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
        assert!(text.contains("Message-ID: <msg_1@localhost>"), "{text}");
    }
}
