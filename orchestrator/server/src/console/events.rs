//! `/events`: the audit log of the organisation.

use askama::Template;
use axum::extract::State;
use purser_audit::Entry;
use purser_authority::action::EventRead;
use purser_authority::{Caller, Facts, Outcome, authorise};
use purser_db::{DbError, Tx};
use purser_http::extract::Query;
use purser_identity::names::{Names, names_of};
use serde::Deserialize;

use super::failure::PageError;
use super::named::{Named, words_of};
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

/// Entries on one page.
const ROWS: i64 = 50;

#[derive(Deserialize)]
pub struct From {
    before: Option<i64>,
}

#[derive(Template)]
#[template(path = "events.html")]
pub struct Events {
    ctx: PageContext,
    rows: Vec<Row>,
    /// Whether these are the newest.
    from_start: bool,
    older: Option<i64>,
}

struct Row {
    seq: i64,
    at: String,
    what: String,
    verb: String,
    outcome: String,
    went_wrong: bool,
    kind: &'static str,
    who: Option<Named>,
    subject: Named,
    data: String,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn, Query(from): Query<From>) -> Result<Page<Events>, PageError> {
    let caller = session.caller();
    authorise::<EventRead>(&caller, &Facts::new(front.realm.env.now(), "events")).map(drop)?;
    let organisation = session.member.organisation.id.clone();
    let read =
        move |tx: &mut Tx<'_>| Ok::<_, DbError>((purser_audit::list(tx, &organisation, from.before, ROWS)?, names_of(tx, &organisation)?));
    let (entries, names) = front.core.db.read(read).await?;
    let full = i64::try_from(entries.len()).is_ok_and(|n| n == ROWS);
    let older = entries.last().map(|(seq, _)| *seq).filter(|_| full);
    let rows = entries.iter().map(|(seq, entry)| row(*seq, entry, &names)).collect();
    Ok(Page::ok(Events { ctx: PageContext::of(&front, &session, "Events"), rows, from_start: from.before.is_none(), older }))
}

fn row(seq: i64, entry: &Entry, names: &Names) -> Row {
    let event = &entry.event;
    let (kind, who) = who(&event.caller);
    Row {
        seq,
        at: entry.at.for_people(),
        what: words_of(&event.verb),
        verb: event.verb.clone(),
        outcome: match &event.outcome {
            Outcome::Intended => "intended".to_owned(),
            Outcome::Done => "done".to_owned(),
            Outcome::Refused(code) => format!("refused: {code}"),
            Outcome::Failed(code) => format!("failed: {code}"),
        },
        went_wrong: matches!(event.outcome, Outcome::Refused(_) | Outcome::Failed(_)),
        kind,
        who: who.map(|id| Named::of(names, &id)),
        subject: Named::of(names, &event.subject),
        data: if event.data.is_null() { String::new() } else { format!("{:#}", event.data) },
    }
}

fn who(caller: &Caller) -> (&'static str, Option<String>) {
    match caller {
        Caller::Person { person, .. } => ("person", Some(person.to_string())),
        Caller::Agent { agent, .. } => ("agent", Some(agent.to_string())),
        Caller::Provider { provider } => ("provider", Some(provider.to_string())),
        Caller::Operator => ("the operator", None),
        Caller::System => ("Purser itself", None),
        Caller::Anonymous => ("nobody known", None),
    }
}
