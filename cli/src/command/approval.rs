//! `approval`: an agent asks for a person's yes to one exact purchase, and a person gives it.

use purser_values::Money;
use purser_values::error::Kind;
use purser_values::id::ApprovalId;
use purser_values::money::MoneyError;
use serde_json::{Value, json};

use super::{list, text, when};
use crate::api::Api;
use crate::arguments::{ApprovalAsk, ApprovalDecide, ApprovalGive, ApprovalShow};
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

/// Longest wait of one request, in seconds.
const HELD_S: u64 = 20;

pub(super) async fn ask(context: &Context, arguments: &ApprovalAsk) -> Result<Success, Failure> {
    let api = context.api(Who::Agent)?;
    let mut body = json!({ "reason": arguments.reason, "second_person": arguments.second_person });
    match &arguments.change {
        Some(typed) => {
            let named = super::status::resource(context, &api, typed).await?;
            body["change"] = json!({ "resource": named.id, "service": super::update::service(&arguments.service, &named.service)? });
            if let Some(typed) = &arguments.config {
                body["change"]["configuration"] = super::add::configuration(Some(typed))?;
            }
        }
        None => {
            let name = arguments.resource_name.as_deref();
            body["request"] = json!(super::add::request(context, &arguments.service, arguments.config.as_deref(), name)?);
        }
    }
    let asked = api.post(&["v1", "approvals"], &[], &body).await?;
    let id: ApprovalId = text(&asked, "id").parse().map_err(|e| Failure::invalid(format!("{e}")))?;
    screen::note(&format!("open {}", text(&asked, "url")));
    if arguments.timeout == 0 { Ok(pending(asked)) } else { settle(&api, &id, arguments.timeout).await }
}

pub(super) async fn show(context: &Context, arguments: &ApprovalShow) -> Result<Success, Failure> {
    settle(&context.api(Who::Either)?, &id(&arguments.approval)?, arguments.timeout).await
}

pub(super) async fn list_all(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Either)?.get(&["v1", "approvals"], &[]).await?;
    let row = |a: &Value| vec![text(&a["request"], "service"), text(a, "state"), when(a, "expires_at"), text(a, "reason"), text(a, "id")];
    let rows: Vec<Vec<String>> = list(&data, "approvals").iter().map(row).collect();
    let text = if rows.is_empty() {
        "Nothing was asked for.".to_owned()
    } else {
        screen::columns(&["service", "state", "until", "why", "id"], &[], rows)
    };
    Ok(Success::new(data, text))
}

pub(super) async fn give(context: &Context, arguments: &ApprovalGive) -> Result<Success, Failure> {
    let bad = |e: MoneyError| Failure::invalid(e.to_string()).hint("for example: `--most 20 --currency USD --every month`");
    let most = match &arguments.most {
        Some(most) => {
            let amount = Money::parse_decimal(most, arguments.currency.parse().map_err(bad)?).map_err(bad)?;
            json!({ "amount_minor": amount.minor(), "currency": amount.currency(), "period": arguments.every })
        }
        None => Value::Null,
    };
    decide(context, &arguments.approval, Some(most)).await
}

pub(super) async fn deny(context: &Context, arguments: &ApprovalDecide) -> Result<Success, Failure> {
    decide(context, &arguments.approval, None).await
}

/// A person decides over what they see here: the digest that is sent back is of exactly that. A yes carries the most that it may cost,
/// or nothing where the price is known.
async fn decide(context: &Context, approval: &str, yes: Option<Value>) -> Result<Success, Failure> {
    let (api, id) = (context.api(Who::Person)?, id(approval)?);
    let approve = yes.is_some();
    let seen = api.get(&["v1", "approvals", id.as_ref()], &[]).await?;
    screen::note(&describe(&seen));
    if approve && !context.global.yes {
        if context.global.non_interactive || !screen::can_ask() {
            return Err(
                Failure::new(Kind::Invalid, "NOT_CONFIRMED", "nobody has confirmed it").hint("look at it, then repeat with `--yes`")
            );
        }
        if !screen::confirm("approve exactly this, once?") {
            return Err(Failure::new(Kind::Invalid, "NOT_CONFIRMED", "it was not approved"));
        }
    }
    let body = json!({ "approve": approve, "digest": seen["digest"], "most": yes });
    let after = api.post(&["v1", "approvals", id.as_ref(), "decide"], &[], &body).await?;
    let state = text(&after, "state");
    Ok(Success::new(after, format!("`{id}` is {state}.")))
}

/// Waits for the decision, at most so many seconds, and says each outcome by a code of its own.
async fn settle(api: &Api<'_>, id: &ApprovalId, wait_s: u64) -> Result<Success, Failure> {
    let mut left = wait_s;
    loop {
        let held = left.min(HELD_S);
        let found = api.get(&["v1", "approvals", id.as_ref()], &[("wait", held.to_string().as_str())]).await?;
        left -= held;
        let refused = |code: &str, words: &str| Err(Failure::new(Kind::Forbidden, code, words).details(found.clone()));
        match found["state"].as_str() {
            Some("pending") if left > 0 => {}
            Some("pending") if wait_s == 0 => return Ok(pending(found)),
            Some("pending") => {
                let failure = Failure::new(Kind::NeedsPerson, "APPROVAL_TIMEOUT", "nobody has decided yet").details(found);
                return Err(failure.hint(format!("the request still stands: `purser approval show {id} --timeout 600` goes on waiting")));
            }
            Some("denied") => return refused("approval_denied", "the person said no"),
            Some("expired") => return refused("approval_expired", "nobody decided in time, or it was not used in time"),
            _ => {
                let words = describe(&found);
                let next = match found["request"]["verb"].as_str() {
                    Some("resource_update") => format!("purser update NAME SERVICE --approval {id}"),
                    _ => format!("purser add SERVICE --approval {id}"),
                };
                return Ok(Success::new(found, words).next(next));
            }
        }
    }
}

fn pending(asked: Value) -> Success {
    let id = text(&asked, "id");
    let words = format!("{}\n\nNobody has decided yet.", describe(&asked));
    Success::new(asked, words).next(format!("purser approval show {id} --timeout 600"))
}

fn describe(approval: &Value) -> String {
    let request = &approval["request"];
    let mut lines = vec![
        format!("approval   {}  {}", text(approval, "id"), text(approval, "state")),
        format!("what       {} {}", text(request, "verb"), text(request, "service")),
        format!("where      {}/{}", text(request, "project"), text(request, "environment")),
    ];
    if request["configuration"].as_object().is_some_and(|c| !c.is_empty()) {
        lines.push(format!("with       {}", request["configuration"]));
    }
    let price = &request["price"];
    if !price["amount_minor"].is_null() || !price["amount"].is_null() {
        lines.push(format!("price      {}", super::catalog::price(price)));
    }
    if price["kind"] == "unknown" {
        lines.push(format!("price      text only, by its provider: {:?}; `--most` says what it may cost", text(price, "text")));
    }
    if !approval["most"].is_null() {
        lines.push(format!("at most    {} ({})", super::money(&approval["most"]), text(&approval["most"], "period")));
    }
    lines.push(format!("why        {}", text(approval, "reason")));
    lines.push(format!("until      {}", when(approval, "expires_at")));
    lines.push(format!("digest     {}", text(approval, "digest")));
    lines.join("\n")
}

fn id(typed: &str) -> Result<ApprovalId, Failure> {
    typed.parse().map_err(|e| Failure::invalid(format!("{e}")).hint("`purser approval list` shows the ids"))
}
