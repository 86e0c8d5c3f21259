//! `domain-search` and `domain-check`: which names can be had, and for how much.

use axum::extract::{Path, RawQuery, State};
use purser_values::Money;
use purser_values::name::DomainName;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_registrar::domain::Refusal;
use slipway_registrar::domain::check::{Checked, MOST, domain_check, domain_search};
use slipway_registrar::domain::quote::QuoteError;

use super::registrar;
use crate::api::body::Json;
use crate::api::caller::Caller;
use crate::api::envelope::{Answer, Failure, ok};
use crate::api::query;
use crate::cloud::Shared;

/// Results of a search where no number is named, and at most.
const FOUND: usize = 10;
const FOUND_MOST: usize = 50;

#[derive(Deserialize)]
pub struct Names {
    domains: Vec<String>,
}

pub async fn search(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    caller.within(&cloud, &account, Permission::Domains).await?;
    let registrar = registrar(&cloud)?;
    let wanted = Wanted::read(text.as_deref(), registrar.registry.suffixes())?;
    let found = domain_search(registrar, &wanted.phrase, &wanted.suffixes, wanted.limit).await.map_err(|e| unanswered(&e))?;
    Ok(ok(&json!({"domains": found.iter().map(item).collect::<Vec<_>>()})))
}

pub async fn check(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller, Json(body): Json<Names>) -> Answer {
    caller.within(&cloud, &account, Permission::Domains).await?;
    let names = body.parse()?;
    let checked = domain_check(registrar(&cloud)?, names).await.map_err(|e| unanswered(&e))?;
    Ok(ok(&json!({"domains": checked.iter().map(item).collect::<Vec<_>>()})))
}

/// What a search asks for.
pub struct Wanted {
    pub phrase: String,
    pub suffixes: Vec<String>,
    pub limit: usize,
}

impl Wanted {
    pub fn read(text: Option<&str>, kept: &[String]) -> Result<Self, Failure> {
        let phrase = query(text, "q").unwrap_or_default().trim().to_owned();
        if phrase.is_empty() {
            return Err(Failure::invalid("`q` is missing: a word, a phrase or a name to look for"));
        }
        let limit = query(text, "limit").map_or(Ok(FOUND), |n| n.parse::<usize>());
        let limit = limit.map_err(|_| Failure::invalid("`limit` is a number"))?.clamp(1, FOUND_MOST);
        let asked: Vec<String> = query(text, "extensions")
            .map(|list| {
                list.split(',').map(|it| it.trim().trim_start_matches('.').to_ascii_lowercase()).filter(|it| !it.is_empty()).collect()
            })
            .unwrap_or_default();
        let suffixes = if asked.is_empty() { kept.to_vec() } else { kept.iter().filter(|it| asked.contains(it)).cloned().collect() };
        Ok(Self { phrase, suffixes, limit })
    }
}

impl Names {
    /// The names; what is none is left out, as the contract has it.
    pub fn parse(&self) -> Result<Vec<DomainName>, Failure> {
        if self.domains.is_empty() || self.domains.len() > MOST {
            return Err(Failure::invalid(format!("`domains` has 1 to {MOST} names")));
        }
        let mut names: Vec<DomainName> = Vec::new();
        for name in self.domains.iter().filter_map(|text| text.parse().ok()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// One name as clients read it. Costs are strings, so that no client makes a fraction of them.
pub fn item(checked: &Checked) -> Value {
    match checked.yearly {
        Ok(yearly) => json!({"name": checked.name, "registrable": true, "tier": "standard", "pricing": pricing(yearly)}),
        Err(Refusal::Premium) => json!({"name": checked.name, "registrable": false, "reason": "domain_premium", "tier": "premium"}),
        Err(Refusal::UnsupportedSuffix) => json!({"name": checked.name, "registrable": false, "reason": "extension_not_supported"}),
        Err(Refusal::Taken | Refusal::Invalid | Refusal::NoHolder) => {
            json!({"name": checked.name, "registrable": false, "reason": "domain_unavailable"})
        }
    }
}

fn pricing(yearly: Money) -> Value {
    json!({"currency": yearly.currency(), "registration_cost": yearly.decimal(), "renewal_cost": yearly.decimal()})
}

/// A registry without an answer is no answer of ours.
pub fn unanswered(e: &QuoteError) -> Failure {
    match e {
        QuoteError::Store(e) => Failure::internal(e),
        QuoteError::Refused(_) | QuoteError::Premium(_) | QuoteError::PriceChanged { .. } | QuoteError::Years => {
            Failure::invalid(e.to_string())
        }
        QuoteError::Unavailable(_) => Failure {
            retry_after: Some(1),
            ..Failure::new(http::StatusCode::SERVICE_UNAVAILABLE, 10_013, "the registry gives no answer; try again in a moment")
        },
    }
}
