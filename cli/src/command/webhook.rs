//! `webhook`: the addresses that an organisation is told at. For people: an agent's try is refused, recorded, and answered with the page.

use serde_json::{Value, json};

use super::billing::{Attempt, is_agents, refused_by};
use super::{list, text};
use crate::arguments::{OfWebhook, WebhookAdd};
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn list_all(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Person)?.get(&["v1", "webhooks"], &[]).await?;
    let row = |w: &Value| vec![text(w, "url"), text(w, "state"), text(w, "description"), text(w, "why"), text(w, "id")];
    let rows: Vec<Vec<String>> = list(&data, "webhooks").iter().map(row).collect();
    let text = if rows.is_empty() { "There are no webhooks.".to_owned() } else { screen::table(&rows) };
    Ok(Success::new(data, text))
}

pub(super) async fn add(context: &Context, arguments: &WebhookAdd) -> Result<Success, Failure> {
    let body = json!({ "url": arguments.address, "description": arguments.description.clone().unwrap_or_default() });
    if is_agents() {
        let query = [("url", arguments.address.as_str()), ("description", arguments.description.as_deref().unwrap_or_default())];
        let mut filled = url::form_urlencoded::Serializer::new(String::new());
        filled.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
        return refused(context, &["webhooks"], format!("/webhooks?{}", filled.finish()), body).await;
    }
    let data = context.api(Who::Person)?.post(&["v1", "webhooks"], &[], &body).await?;
    Ok(secret(data, "Messages to it are signed with this secret, which is shown now and never again:"))
}

pub(super) async fn rotate(context: &Context, arguments: &OfWebhook) -> Result<Success, Failure> {
    if is_agents() {
        return refused(context, &["webhooks", &arguments.webhook, "rotate"], page_of(arguments), json!({})).await;
    }
    let api = context.api(Who::Person)?;
    let data = api.post(&["v1", "webhooks", &arguments.webhook, "rotate"], &[], &json!({})).await?;
    Ok(secret(data, "The new secret, which is shown now and never again; the one before signs as well for a day:"))
}

fn secret(data: Value, words: &str) -> Success {
    let said = format!("{words}\n{}", text(&data, "secret"));
    let test = format!("purser webhook test {}", text(&data["webhook"], "id"));
    Success::new(data, said).next(test)
}

pub(super) async fn test(context: &Context, arguments: &OfWebhook) -> Result<Success, Failure> {
    if is_agents() {
        return refused(context, &["webhooks", &arguments.webhook, "test"], page_of(arguments), json!({})).await;
    }
    let api = context.api(Who::Person)?;
    let data = api.post(&["v1", "webhooks", &arguments.webhook, "test"], &[], &json!({})).await?;
    let said = format!("The message `{}` is on its way; the page of webhooks shows whether it was taken.", text(&data, "message"));
    Ok(Success::new(data, said))
}

pub(super) async fn remove(context: &Context, arguments: &OfWebhook) -> Result<Success, Failure> {
    if is_agents() {
        return refused(context, &["webhooks", &arguments.webhook, "remove"], page_of(arguments), json!({})).await;
    }
    let api = context.api(Who::Person)?;
    let data = api.post(&["v1", "webhooks", &arguments.webhook, "remove"], &[], &json!({})).await?;
    Ok(Success::new(data, format!("Nothing is sent to `{}` any more.", arguments.webhook)))
}

fn page_of(arguments: &OfWebhook) -> String {
    format!("/webhooks#{}", arguments.webhook)
}

async fn refused(context: &Context, route: &[&str], page: String, body: Value) -> Result<Success, Failure> {
    let attempt = Attempt { route, page, code: "BROWSER_AUTH_REQUIRED", what: "keeps webhooks", body };
    refused_by(context, attempt, false).await
}
