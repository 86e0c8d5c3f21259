//! `/alerts`: what was told about money, when, and where it went.

use askama::Template;
use axum::extract::State;
use purser_authority::action::SpendRead;
use purser_authority::{Facts, authorise};
use purser_http::extract::Query;
use purser_provisioning::alerts::{self, Told};
use purser_values::Timestamp;
use serde::Deserialize;

use super::failure::PageError;
use super::page::{Page, PageContext};
use super::session::SignedIn;
use crate::front::Front;

/// Alerts on one page.
const ROWS: i64 = 50;

#[derive(Deserialize)]
pub struct From {
    before: Option<String>,
}

#[derive(Template)]
#[template(path = "alerts.html")]
pub struct Alerts {
    ctx: PageContext,
    rows: Vec<Row>,
    older: Option<String>,
}

struct Row {
    id: String,
    at: String,
    said: String,
    kind: &'static str,
    agent: Option<String>,
    /// One line for each place.
    went: Vec<String>,
}

pub async fn get(State(front): State<Front>, SignedIn(session): SignedIn, Query(from): Query<From>) -> Result<Page<Alerts>, PageError> {
    let (caller, now) = (session.caller(), front.realm.env.now());
    let permit = authorise::<SpendRead>(&caller, &Facts::new(now, "alerts"))?;
    let before = from.before.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    let organisation = session.member.organisation.id.clone();
    let told = front.core.db.read(move |tx| alerts::list(tx, &permit, &organisation, before, ROWS)).await?;
    let full = i64::try_from(told.len()).is_ok_and(|n| n == ROWS);
    let older = told.last().filter(|_| full).map(|last| last.alert.at.to_string());
    Ok(Page::ok(Alerts { ctx: PageContext::of(&front, &session, "Alerts"), rows: told.into_iter().map(row).collect(), older }))
}

fn row(told: Told) -> Row {
    let mails = told.mails.into_iter().map(|email| format!("mail to {email}"));
    let webhooks = told.webhooks.into_iter().map(|delivery| {
        let how = match (delivery.state.as_str(), delivery.why) {
            ("delivered", _) => format!("taken {}", delivery.last_at.for_people()),
            (state, Some(why)) => format!("{state} after {} tries: {why}", delivery.attempts),
            (state, None) => state.to_owned(),
        };
        format!("webhook {}: {how}", delivery.endpoint)
    });
    Row {
        id: told.alert.id.to_string(),
        at: told.alert.at.for_people(),
        said: told.text,
        kind: told.alert.cause.kind(),
        agent: told.agent_name,
        went: mails.chain(webhooks).collect(),
    }
}
