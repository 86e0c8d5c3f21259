//! `catalog` and `search`: what can be bought, for how much, and what it needs.

use serde_json::Value;

use super::text;
use crate::api::{Api, Signer};
use crate::arguments::{Catalog, Search};
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

async fn list_services(context: &Context, query: &[(&str, &str)]) -> Result<Success, Failure> {
    let data = api(context)?.get(&["v1", "catalog"], query).await?;
    let rows: Vec<Vec<String>> = super::list(&data, "services").iter().map(row).collect();
    if rows.is_empty() {
        return Ok(Success::new(data, "Nothing is found. `purser catalog` without words lists all that there is.").next("purser catalog"));
    }
    Ok(Success::new(data, screen::table(&rows)).next("purser add PROVIDER/SERVICE --preflight"))
}

/// The catalogue is public: without a grant it is read with a key that is thrown away.
fn api(context: &Context) -> Result<Api<'_>, Failure> {
    context.api(Who::Either).or_else(|error| {
        if error.code != "NOT_AUTHENTICATED" {
            return Err(error);
        }
        let key = purser_crypto::jose::SigningKey::generate(purser_crypto::jose::Algorithm::EdDsa);
        Api::new(context, context.orchestrator()?, Signer::Newcomer { key: key.map_err(crate::home::HomeError::NoKey)? })
    })
}

pub(super) async fn list(context: &Context, arguments: &Catalog) -> Result<Success, Failure> {
    let filter: Vec<(&str, &str)> = arguments.filter.iter().map(|filter| ("filter", filter.as_str())).collect();
    list_services(context, &filter).await
}

pub(super) async fn search(context: &Context, arguments: &Search) -> Result<Success, Failure> {
    list_services(context, &[("q", &arguments.query.join(" "))]).await
}

fn row(service: &Value) -> Vec<String> {
    vec![text(service, "ref"), price(&service["price"]), text(service, "description")]
}

/// A price in words.
pub(super) fn price(price: &Value) -> String {
    match price["kind"].as_str() {
        Some(kind @ ("free" | "included")) => return kind.to_owned(),
        Some("known") => {}
        _ => return "price unknown: a person approves each purchase".to_owned(),
    }
    let period = match price["period"].as_str() {
        None | Some("once") => String::new(),
        Some(period) => format!(" a {period}"),
    };
    let last = if price["irreversible"] == true { ", cannot be undone" } else { "" };
    format!("{}{period}{last}", super::money(price))
}
