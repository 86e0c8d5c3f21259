//! What a command is answered with.

use purser_db::DbError;

use crate::code::Code;
use crate::names::EPP;
use crate::xml::Writer;

/// A success.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub code: Code,
    /// A whole `msgQ` element.
    pub queue: Option<String>,
    /// What stands in `resData`.
    pub data: Option<String>,
    /// What stands in `extension`.
    pub extension: String,
}

/// A refusal: nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: Code,
    pub reason: String,
}

/// Why a command has no success.
#[derive(Debug)]
pub(crate) enum Fail {
    Refused(Refusal),
    Store(DbError),
}

pub(crate) type Outcome<T = Answer> = Result<T, Fail>;

impl From<DbError> for Fail {
    fn from(e: DbError) -> Self {
        Self::Store(e)
    }
}

/// A refusal with its reason.
pub(crate) fn refused(code: Code, reason: impl Into<String>) -> Fail {
    Fail::Refused(Refusal { code, reason: reason.into() })
}

impl Answer {
    pub(crate) fn new(code: Code) -> Self {
        Self { code, queue: None, data: None, extension: String::new() }
    }

    pub(crate) fn with(data: Writer) -> Self {
        Self { data: Some(data.finish()), ..Self::new(Code::Done) }
    }
}

/// The whole document.
pub(crate) fn render(outcome: &Result<Answer, Refusal>, client_transaction: Option<&str>, server_transaction: &str) -> String {
    let mut w = document();
    w.open("response", &[]);
    let (code, reason) = match outcome {
        Ok(answer) => (answer.code, None),
        Err(refusal) => (refusal.code, Some(refusal.reason.as_str()).filter(|reason| !reason.is_empty())),
    };
    let (number, text) = code.parts();
    w.open("result", &[("code", &number.to_string())]).leaf("msg", text);
    if let Some(reason) = reason {
        w.open("extValue", &[]).open("value", &[]).empty("undef", &[]).close("value").leaf("reason", reason).close("extValue");
    }
    w.close("result");
    if let Ok(answer) = outcome {
        w.part(answer.queue.as_deref().unwrap_or_default());
        if let Some(data) = &answer.data {
            w.open("resData", &[]).part(data).close("resData");
        }
        if !answer.extension.is_empty() {
            w.open("extension", &[]).part(&answer.extension).close("extension");
        }
    }
    w.open("trID", &[]);
    if let Some(id) = client_transaction {
        w.leaf("clTRID", id);
    }
    w.leaf("svTRID", server_transaction).close("trID").close("response").close("epp");
    w.finish()
}

/// The beginning of every document that we send.
pub(crate) fn document() -> Writer {
    let mut w = Writer::default();
    w.part("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n").open("epp", &[("xmlns", EPP)]);
    w
}
