//! A command: what it says, and the use case that carries it out.

use purser_db::{DbError, Tx};
use purser_values::{Env, Sha256Digest, Timestamp};

use crate::client::Pepper;
use crate::code::Code;
use crate::names::{CONTACT, DOMAIN, EPP, HOST, OBJECTS};
use crate::reply::{Answer, Fail, Outcome, Refusal, refused, render};
use crate::rules::Rules;
use crate::xml::Element;
use crate::{contact, domain, host, lifecycle, poll, store};

/// A command as it came.
#[derive(Clone, Debug)]
pub(crate) struct Command {
    pub verb: String,
    pub element: Element,
    pub extension: Vec<Element>,
    pub transaction: Option<String>,
}

/// The commands that there are (RFC 5730 section 2.9).
const VERBS: [&str; 10] = ["login", "logout", "check", "info", "poll", "transfer", "create", "delete", "renew", "update"];
/// Bounds of a transaction id (trIDStringType).
const TRANSACTION: std::ops::RangeInclusive<usize> = 3..=64;

impl Command {
    /// # Errors
    /// With the transaction id, as far as it could be read, when the document is no command.
    pub(crate) fn read(root: &Element) -> Result<Self, (Refusal, Option<String>)> {
        let syntax = |code, reason: &str| Refusal { code, reason: reason.to_owned() };
        if !root.is(EPP, "epp") {
            return Err((syntax(Code::Syntax, "the document is no `epp` of the namespace epp-1.0"), None));
        }
        let Some(command) = root.child("command") else {
            let code = if root.child("extension").is_some() { Code::Command } else { Code::Syntax };
            return Err((syntax(code, "there is no `command`"), None));
        };
        let transaction = command.child("clTRID").map(Element::token);
        if transaction.as_ref().is_some_and(|id| !TRANSACTION.contains(&id.chars().count())) {
            return Err((syntax(Code::Value, "`clTRID` has 3 to 64 characters"), None));
        }
        let mut parts = command.children.iter().filter(|part| !part.is(EPP, "extension") && !part.is(EPP, "clTRID"));
        let (Some(element), None) = (parts.next(), parts.next()) else {
            return Err((syntax(Code::Syntax, "a command is exactly one element"), transaction));
        };
        if element.ns != EPP || !VERBS.contains(&element.name.as_str()) {
            return Err((syntax(Code::UnknownCommand, ""), transaction));
        }
        let extension = command.child("extension").map(|it| it.children.clone()).unwrap_or_default();
        Ok(Self { verb: element.name.clone(), element: element.clone(), extension, transaction })
    }

    /// Whether it can change something, so that its answer must be kept.
    pub(crate) fn changes(&self) -> bool {
        match self.verb.as_str() {
            "create" | "delete" | "renew" | "update" => true,
            "transfer" => self.element.attribute("op") != Some("query"),
            "poll" => self.element.attribute("op") == Some("ack"),
            _ => false,
        }
    }
}

/// What every use case gets.
pub(crate) struct Call<'a> {
    pub env: &'a Env,
    pub now: Timestamp,
    pub client: &'a str,
    pub rules: &'a Rules,
    pub pepper: &'a Pepper,
    /// The object's own element below the command: `domain:create` and its like.
    pub object: &'a Element,
    /// The attribute `op` of a transfer or a poll.
    pub op: Option<&'a str>,
    pub extension: &'a [Element],
    /// The extensions that the session asked for; no other is spoken.
    pub spoken: &'a [String],
}

/// Carries a command out in one write, under its transaction id, and tells the whole answer.
pub(crate) fn perform(tx: &mut Tx<'_>, call: &Call<'_>, command: &Command, digest: &Sha256Digest) -> Result<(String, Code), DbError> {
    let kept = command.transaction.as_deref().filter(|_| command.changes());
    if let Some(id) = kept
        && let Some(answer) = store::answered(tx, call.client, id, digest, call.now)?
    {
        return Ok((answer, Code::Done));
    }
    lifecycle::round(tx, call.env, call.now)?;
    let outcome = match tx.savepoint(|tx| carry_out(tx, call, command)) {
        Ok(answer) => Ok(answer),
        Err(Fail::Refused(refusal)) => Err(refusal),
        Err(Fail::Store(e)) => return Err(e),
    };
    let code = outcome.as_ref().map_or_else(|refusal| refusal.code, |answer| answer.code);
    let text = render(&outcome, command.transaction.as_deref(), &transaction(call.env));
    // A refusal changed nothing, so there is nothing to answer twice.
    if let (Some(id), Ok(_)) = (kept, &outcome) {
        store::answer(tx, call.client, id, digest, &text, call.now)?;
    }
    Ok((text, code))
}

fn carry_out(tx: &mut Tx<'_>, call: &Call<'_>, command: &Command) -> Outcome {
    for extension in call.extension {
        if !call.spoken.contains(&extension.ns) {
            return Err(refused(Code::Extension, "the session did not ask for this extension"));
        }
    }
    if command.verb == "poll" {
        return poll::poll(tx, call);
    }
    match (call.object.ns.as_str(), command.verb.as_str()) {
        (DOMAIN, "check") => domain::check::check(tx, call),
        (DOMAIN, "info") => domain::info::info(tx, call),
        (DOMAIN, "create") => domain::create::create(tx, call),
        (DOMAIN, "delete") => domain::delete::delete(tx, call),
        (DOMAIN, "renew") => domain::renew::renew(tx, call),
        (DOMAIN, "transfer") => domain::transfer::transfer(tx, call),
        (DOMAIN, "update") => domain::update::update(tx, call),
        (HOST, "check") => host::commands::check(tx, call),
        (HOST, "info") => host::commands::info(tx, call),
        (HOST, "create") => host::commands::create(tx, call),
        (HOST, "delete") => host::commands::delete(tx, call),
        (HOST, "update") => host::update::update(tx, call),
        (CONTACT, "check") => contact::commands::check(tx, call),
        (CONTACT, "info") => contact::commands::info(tx, call),
        (CONTACT, "create") => contact::commands::create(tx, call),
        (CONTACT, "delete") => contact::commands::delete(tx, call),
        (CONTACT, "update") => contact::update::update(tx, call),
        (CONTACT, "transfer") => Err(refused(Code::OptionUnknown, "contacts stay with the registrar that made them")),
        (HOST, _) => Err(refused(Code::Command, "hosts are neither renewed nor transferred")),
        (ns, _) if !OBJECTS.contains(&ns) => Err(refused(Code::ObjectService, "")),
        _ => Err(refused(Code::Command, "")),
    }
}

/// A fresh id of the server's.
pub(crate) fn transaction(env: &Env) -> String {
    format!("SLP-{}", hex::encode(env.bytes::<12>()))
}

/// A fresh id of an object (roidType).
pub(crate) fn roid(env: &Env, kind: char) -> String {
    format!("{kind}{}-SLP", hex::encode(env.bytes::<8>()).to_uppercase())
}

impl Call<'_> {
    /// The text of a child that must be there.
    pub(crate) fn required(&self, name: &str) -> Outcome<String> {
        let text = self.object.child(name).map(Element::token).unwrap_or_default();
        if text.is_empty() { Err(refused(Code::Missing, format!("`{name}` is missing"))) } else { Ok(text) }
    }

    /// Refuses what the object's element does not have in the standard.
    pub(crate) fn only(&self, names: &[&str]) -> Outcome<()> {
        only(self.object, names)
    }

    pub(crate) fn extended(&self, ns: &str, name: &str) -> Option<&Element> {
        self.extension.iter().find(|it| it.is(ns, name))
    }

    pub(crate) fn speaks(&self, ns: &str) -> bool {
        self.spoken.iter().any(|it| it == ns)
    }

    /// The texts that a check asks about.
    pub(crate) fn asked(&self, name: &str) -> Outcome<Vec<String>> {
        self.only(&[name])?;
        let all: Vec<String> = self.object.all(name).map(Element::token).collect();
        match all.len() {
            0 => Err(refused(Code::Missing, format!("`{name}` is missing"))),
            n if n > crate::limits::CHECKED => Err(refused(Code::Policy, format!("at most {} at a time", crate::limits::CHECKED))),
            // An answer repeats what was asked, and must itself be one that the schema takes (labelType).
            _ if all.iter().any(|it| !(1..=255).contains(&it.chars().count())) => {
                Err(refused(Code::Value, format!("`{name}` has 1 to 255 characters")))
            }
            _ => Ok(all),
        }
    }
}

/// Refuses children that are not among those named.
pub(crate) fn only(element: &Element, names: &[&str]) -> Outcome<()> {
    match element.children.iter().find(|child| child.ns != element.ns || !names.contains(&child.name.as_str())) {
        Some(child) => Err(refused(Code::Syntax, format!("`{}` does not belong into `{}`", child.name, element.name))),
        None => Ok(()),
    }
}

/// The new secret of an object (`authInfo/pw`).
pub(crate) fn auth_info(element: &Element) -> Outcome<Option<String>> {
    let Some(auth) = element.child("authInfo") else { return Ok(None) };
    match auth.child("pw").map(Element::token) {
        Some(pw) if (6..=128).contains(&pw.len()) => Ok(Some(pw)),
        Some(_) => Err(refused(Code::Policy, "`authInfo` has 6 to 128 characters")),
        None => Err(refused(Code::OptionUnknown, "`authInfo` is a `pw`")),
    }
}

/// Checks that statuses are ones that a registrar may set.
pub(crate) fn statuses(element: Option<&Element>, allowed: &[&str]) -> Outcome<Vec<String>> {
    let mut all = Vec::new();
    for status in element.into_iter().flat_map(|it| it.all("status")) {
        let s = status.attribute("s").unwrap_or_default();
        if !allowed.contains(&s) {
            return Err(refused(Code::Policy, format!("`{s}` is no status that a registrar sets")));
        }
        all.push(s.to_owned());
    }
    Ok(all)
}

/// What was answered, for a case without anything to show.
pub(crate) fn done() -> Answer {
    Answer::new(Code::Done)
}
