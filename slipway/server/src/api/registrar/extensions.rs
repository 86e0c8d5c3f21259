//! `extensions`: the suffixes that are sold, and what a registration below each has to say.

use axum::extract::{Path, RawQuery, State};
use http::StatusCode;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_registrar::domain::MAX_YEARS;

use super::registrar;
use super::registrations::{paged, sort};
use crate::api::caller::Caller;
use crate::api::envelope::{Answer, Failure, ok};
use crate::api::query;
use crate::cloud::Shared;

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    caller.within(&cloud, &account, Permission::Domains).await?;
    let wanted = query(text.as_deref(), "name");
    let sold = registrar(&cloud)?.registry.suffixes();
    let mut rows: Vec<(String, Value)> = sold
        .iter()
        .filter(|suffix| wanted.as_ref().is_none_or(|it| suffix.contains(it.trim_start_matches('.'))))
        .map(|suffix| (suffix.clone(), extension(suffix)))
        .collect();
    rows.sort_by(|(a, _), (b, _)| a.cmp(b));
    sort(&mut rows, text.as_deref());
    Ok(paged(&rows, text.as_deref()))
}

pub async fn get(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, caller: Caller) -> Answer {
    caller.within(&cloud, &account, Permission::Domains).await?;
    let wanted = name.trim_start_matches('.').to_ascii_lowercase();
    let sold = registrar(&cloud)?.registry.suffixes().iter().find(|suffix| **suffix == wanted);
    sold.map(|suffix| ok(&extension(suffix)))
        .ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, 1_004, "names below this suffix are not sold here"))
}

fn extension(suffix: &str) -> Value {
    let schema = json!({
        "type": "object",
        "properties": {
            "domain_name": {"type": "string", "maxLength": 253},
            "years": {"type": "integer", "minimum": 1, "maximum": MAX_YEARS},
            "auto_renew": {"type": "boolean"},
            "privacy_mode": {"type": "string", "enum": ["redaction"]},
        },
        "required": ["domain_name"],
    });
    json!({
        "metadata": {"name": suffix, "tld": suffix.rsplit('.').next().unwrap_or(suffix)},
        "registration_schema": schema,
        "transfer_schema": null,
    })
}
