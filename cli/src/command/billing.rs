//! Limits, cards and terms. An agent sees them; only a person changes them, on a page.
//!
//! INVARIANT (agent-cannot-widen): no flag here acts. What is tried is sent to the orchestrator, which refuses and records it.

use purser_values::error::Kind;
use purser_values::{Currency, Money};
use serde_json::{Value, json};

use crate::arguments::{BillingUpdate, Spend};
use crate::context::{Context, address};
use crate::operation::Who;
use crate::outcome::{Failure, Success};

pub(super) async fn show(context: &Context) -> Result<Success, Failure> {
    super::spend::run(context, &Spend { month: None }).await
}

pub(super) async fn add(context: &Context) -> Result<Success, Failure> {
    refused(
        context,
        Attempt { route: "payment_methods", page: "/card", code: "BROWSER_AUTH_REQUIRED", what: "adds a card", body: json!({}) },
    )
    .await
}

pub(super) async fn update(context: &Context, arguments: &BillingUpdate) -> Result<Success, Failure> {
    let limit = arguments.limit.as_deref().map(|text| Money::parse_decimal(text, Currency::USD)).transpose();
    let limit = limit.map_err(|e| Failure::invalid(e.to_string()).hint("write it as `25` or `25.00`"))?;
    let body = json!({ "provider": arguments.provider, "amount_minor": limit.map(Money::minor), "currency": "USD" });
    refused(context, Attempt { route: "caps", page: "/limits", code: "BROWSER_AUTH_REQUIRED", what: "changes a limit", body }).await
}

pub(super) async fn accept_terms(context: &Context) -> Result<Success, Failure> {
    let what = "accepts terms";
    refused(context, Attempt { route: "terms_acceptances", page: "/", code: "TOS_ACCEPTANCE_REQUIRED", what, body: json!({}) }).await
}

struct Attempt {
    route: &'static str,
    page: &'static str,
    code: &'static str,
    what: &'static str,
    body: Value,
}

async fn refused(context: &Context, attempt: Attempt) -> Result<Success, Failure> {
    let page = context.orchestrator().map(|url| format!("{}{}", address(&url), attempt.page));
    // only to be recorded: whatever the answer, nothing was changed and the refusal stands
    if let Ok(api) = context.api(Who::Agent) {
        let route = ["v1", attempt.route];
        let _ = tokio::time::timeout(std::time::Duration::from_secs(3), api.post(&route, &[], &attempt.body)).await;
    }
    let failure = Failure::new(Kind::NeedsPerson, attempt.code, format!("only the person {}; an agent never does", attempt.what));
    Err(match page {
        Ok(url) => failure.hint(format!("ask the person to open {url}")).details(json!({ "url": url })),
        Err(_) => failure.hint("ask the person to do it on the orchestrator's pages"),
    })
}
