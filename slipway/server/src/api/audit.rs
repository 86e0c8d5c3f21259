//! `GET /accounts/{id}/logs/audit` (the second form, by cursor), `…/audit_logs` and `/user/audit_logs` (the first form, by page): what was
//! changed in the account through this API, by which token of which agent.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use purser_values::Timestamp;
use serde_json::{Value, json};
use slipway_accounts::audit::{Entry, Wanted, audit_list};

use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, after, page};
use super::{query, render};
use crate::cloud::Shared;

/// Entries on a page when the client does not say, and at most.
const LIMIT: i64 = 100;
const LIMIT_MOST: i64 = 1_000;
/// The first form has no cursor and looks back at so many entries.
const FIRST_FORM_ENTRIES: i64 = 10_000;

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    own(&caller, &account)?;
    let text = text.as_deref();
    let limit = query(text, "limit").and_then(|v| v.parse().ok()).unwrap_or(LIMIT).clamp(1, LIMIT_MOST);
    let oldest_first = query(text, "direction").is_some_and(|v| v == "asc");
    let cursor = query(text, "cursor").filter(|v| !v.is_empty()).map(|v| position(&v)).transpose()?;
    let entries = entries(&cloud, &caller, text, cursor, oldest_first, limit).await?;
    let full = i64::try_from(entries.len()).is_ok_and(|n| n == limit);
    let next = entries.last().filter(|_| full).map(|last| format!("{}-{}", last.at.as_micros(), last.id));
    let shown: Vec<Value> = entries.iter().map(|entry| second_form(&caller, entry)).collect();
    Ok(after(&shown, next.as_deref()))
}

pub async fn list_first_form(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    own(&caller, &account)?;
    pages(&cloud, &caller, text.as_deref()).await
}

pub async fn list_of_user(State(cloud): State<Shared>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    pages(&cloud, &caller, text.as_deref()).await
}

async fn pages(cloud: &Shared, caller: &Caller, text: Option<&str>) -> Result<Response, Failure> {
    let oldest_first = query(text, "direction").is_some_and(|v| v == "asc");
    let entries = entries(cloud, caller, text, None, oldest_first, FIRST_FORM_ENTRIES).await?;
    let shown: Vec<Value> = entries.iter().map(|entry| first_form(caller, entry)).collect();
    Ok(page(&shown, Page::of(text)))
}

async fn entries(
    cloud: &Shared,
    caller: &Caller,
    text: Option<&str>,
    after: Option<(Timestamp, String)>,
    oldest_first: bool,
    limit: i64,
) -> Result<Vec<Entry>, Failure> {
    let method = match query(text, "action_type").as_deref() {
        None | Some("") => "",
        Some("create") => "POST",
        Some("update") => "PUT",
        Some("delete") => "DELETE",
        Some(_) => return Err(Failure::body("`action_type` is one of `create`, `update`, `delete`")),
    };
    let wanted = Wanted {
        since: time(text, "since")?.unwrap_or(Timestamp::EPOCH),
        before: time(text, "before")?.unwrap_or_else(|| cloud.env.now().plus_secs(1)),
        method: method.to_owned(),
        after,
        oldest_first,
        limit,
    };
    let account = caller.account.id.clone();
    Ok(cloud.db.read(move |tx| audit_list(tx, &account, &wanted)).await?)
}

fn own(caller: &Caller, account: &str) -> Result<(), Failure> {
    if account == caller.account.hex.as_str() { Ok(()) } else { Err(Failure::foreign()) }
}

/// A day or a moment; a day begins at midnight UTC.
fn time(text: Option<&str>, name: &str) -> Result<Option<Timestamp>, Failure> {
    let Some(value) = query(text, name).filter(|v| !v.is_empty()) else { return Ok(None) };
    let whole = if value.len() == 10 { format!("{value}T00:00:00Z") } else { value.into_owned() };
    whole.parse().map(Some).map_err(|_| Failure::body(format!("`{name}` is a date or a time with its offset, as in RFC 3339")))
}

fn position(cursor: &str) -> Result<(Timestamp, String), Failure> {
    let parts = cursor.split_once('-').and_then(|(at, id)| Some((Timestamp::from_micros(at.parse().ok()?), id.to_owned())));
    parts.ok_or_else(|| Failure::body("the `cursor` is not one that was given out here"))
}

/// What kind of thing a path is about, and which one: `…/workers/scripts/{name}/secrets` is about a secret of a Worker.
fn about(path: &str) -> (String, String, Option<String>) {
    let path = path.trim_start_matches("/client/v4");
    let mut words = path.split('/').filter(|word| !word.is_empty()).peekable();
    if words.peek() == Some(&"accounts") {
        words.nth(1);
    }
    let words: Vec<&str> = words.collect();
    let product = words.first().copied().unwrap_or("account").to_owned();
    let kind = words.get(1).or(words.first()).copied().unwrap_or("account").to_owned();
    (product, kind, words.last().filter(|_| words.len() > 1).map(|word| (*word).to_owned()))
}

fn action(entry: &Entry) -> &'static str {
    match entry.method.as_str() {
        "POST" => "create",
        "DELETE" => "delete",
        _ => "update",
    }
}

fn result(entry: &Entry) -> Value {
    match entry.status {
        Some(200..=299) => json!("success"),
        Some(_) => json!("failure"),
        None => json!("unknown"),
    }
}

fn second_form(caller: &Caller, entry: &Entry) -> Value {
    let (product, kind, id) = about(&entry.path);
    json!({
        "id": entry.id,
        "account": {"id": caller.account.hex.as_str(), "name": caller.account.organisation},
        "action": {"type": action(entry), "result": result(entry), "time": render::time(entry.at),
                   "description": format!("{} {}", entry.method, entry.path)},
        "actor": {"id": entry.agent, "type": "account", "context": "api_token", "token_id": entry.token, "token_name": entry.resource,
                  "email": null, "ip_address": null},
        "raw": {"method": entry.method, "uri": entry.path, "status_code": entry.status, "cf_ray_id": entry.id.get(..16),
                "user_agent": entry.user_agent},
        "resource": {"product": product, "type": kind, "id": id, "scope": "accounts", "request": null, "response": null},
        "zone": null,
    })
}

fn first_form(caller: &Caller, entry: &Entry) -> Value {
    let (product, kind, id) = about(&entry.path);
    json!({
        "id": entry.id,
        "action": {"type": action(entry), "result": result(entry) == json!("success")},
        "actor": {"id": entry.agent, "type": "user", "email": null, "ip": null},
        "interface": "API",
        "metadata": {"token": entry.token, "resource": entry.resource, "method": entry.method, "uri": entry.path, "status": entry.status},
        "newValue": "", "oldValue": "",
        "owner": {"id": caller.account.hex.as_str()},
        "resource": {"id": id, "type": format!("{product}.{kind}")},
        "when": render::time(entry.at),
    })
}

#[cfg(test)]
mod tests {
    use super::about;

    #[test]
    fn a_path_tells_what_it_is_about() {
        let told = |path: &str| {
            let (product, kind, id) = about(path);
            format!("{product} {kind} {}", id.unwrap_or_default())
        };
        assert_eq!(told("/client/v4/accounts/a1/workers/scripts/shop"), "workers scripts shop");
        assert_eq!(told("/user/tokens"), "user tokens tokens");
        assert_eq!(told("/accounts/a1"), "account account ");
    }
}
