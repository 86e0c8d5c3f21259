//! `alert list`: what was told about money, and where it went.

use serde_json::Value;

use super::{list, text, when};
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn list_all(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Either)?.get(&["v1", "alerts"], &[]).await?;
    let rows: Vec<Vec<String>> = list(&data, "alerts").iter().map(row).collect();
    let text = if rows.is_empty() { "Nothing was told yet.".to_owned() } else { screen::table(&rows) };
    Ok(Success::new(data, text))
}

fn row(alert: &Value) -> Vec<String> {
    let mails = list(alert, "mails").iter().filter_map(Value::as_str).map(|email| format!("mail {email}"));
    let webhooks = list(alert, "webhooks").iter().map(|webhook| format!("webhook {}", text(webhook, "state")));
    let went: Vec<String> = mails.chain(webhooks).collect();
    vec![when(alert, "at"), text(alert, "text"), text(alert, "agent_name"), went.join(", "), text(alert, "id")]
}
