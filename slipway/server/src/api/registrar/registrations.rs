//! `registrations`: the account's names, and how one is got. A name is the key of its own getting, so a repeat is the same one.

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use purser_db::DbError;
use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_values::name::DomainName;
use purser_values::{Money, Timestamp};
use purser_wire::error::code;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_billing::subscription::get::subscription_list;
use slipway_registrar::domain::change::locked;
use slipway_registrar::domain::get::{domain_get, domain_list, domain_names, domain_refused};
use slipway_registrar::domain::quote::{QuoteError, domain_quote};
use slipway_registrar::domain::{Domain, State as Stage};
use slipway_registrar::suggest::typo_note;

use super::names::unanswered;
use super::registrar;
use super::workflow::{State as At, Workflow};
use crate::api::body::Json;
use crate::api::caller::Caller;
use crate::api::envelope::{Answer, Failure, by_cursor, ok};
use crate::api::{query, render};
use crate::cloud::{Cloud, Shared};
use crate::provider::subscription::renewal;

pub const REGISTRATION: &str = "registration-status";
pub const UPDATE: &str = "update-status";
/// What is to be done when money would have to be spent.
const ORDER: &str = "order_through_orchestrator";
/// Entries on a page where the client names no number, and at most.
const PER_PAGE: usize = 20;
const PER_PAGE_MOST: usize = 50;

/// The body of a registration. Contacts are not asked for here: what the sandbox's registry needs, it has.
#[derive(Deserialize)]
pub struct New {
    pub domain_name: String,
    #[serde(default)]
    pub years: Option<u32>,
    #[serde(default)]
    pub auto_renew: Option<bool>,
    #[serde(default)]
    pub privacy_mode: Option<String>,
}

#[derive(Deserialize)]
pub struct Edit {
    #[serde(default)]
    pub auto_renew: Option<bool>,
}

/// A name with what is shown beside it.
pub struct Shown {
    pub domain: Domain,
    pub renews: bool,
    pub locked: bool,
}

pub async fn list(State(cloud): State<Shared>, Path(account): Path<String>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let all = shown(&cloud, account, None).await?;
    let mut rows: Vec<(String, Value)> = all.iter().map(|it| (it.domain.name.to_string(), registration(it))).collect();
    sort(&mut rows, text.as_deref());
    Ok(paged(&rows, text.as_deref()))
}

pub async fn get(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let found = shown(&cloud, account, Some(parse(&name)?)).await?;
    found.first().map(|it| ok(&registration(it))).ok_or_else(missing)
}

pub async fn create(
    State(cloud): State<Shared>,
    Path(account): Path<String>,
    headers: HeaderMap,
    caller: Caller,
    Json(body): Json<New>,
) -> Answer {
    let base = format!("/accounts/{account}/registrar");
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let name = body.name()?;
    let (at, created_at) = progress(&cloud, account, &name, body.years.unwrap_or(1)).await?;
    let updated_at = cloud.env.now();
    let workflow = Workflow { base, domain: name.as_str(), kind: REGISTRATION, created_at, updated_at, state: at };
    Ok(workflow.answer(StatusCode::CREATED, &headers))
}

pub async fn registration_status(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let base = format!("/accounts/{account}/registrar");
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let name = parse(&name)?;
    let (state, created_at) = progress(&cloud, account, &name, 1).await?;
    Ok(ok(&Workflow { base, domain: name.as_str(), kind: REGISTRATION, created_at, updated_at: cloud.env.now(), state }.json()))
}

/// Turning renewal off saves money and is done; turning it on would spend some.
pub async fn edit(
    State(cloud): State<Shared>,
    Path((account, name)): Path<(String, String)>,
    headers: HeaderMap,
    caller: Caller,
    Json(body): Json<Edit>,
) -> Answer {
    let base = format!("/accounts/{account}/registrar");
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let name = parse(&name)?;
    let found = shown(&cloud, account, Some(name.clone())).await?;
    let held = found.first().ok_or_else(missing)?;
    let renews = body.auto_renew.ok_or_else(|| Failure::invalid("`auto_renew` is missing"))?;
    let state = set_renewal(&cloud, &caller, held, renews).await?;
    let now = cloud.env.now();
    Ok(Workflow { base, domain: name.as_str(), kind: UPDATE, created_at: now, updated_at: now, state }.answer(StatusCode::OK, &headers))
}

/// Changes are carried out before they are answered, so there is none that is still under way.
pub async fn update_status(State(cloud): State<Shared>, Path((account, name)): Path<(String, String)>, caller: Caller) -> Answer {
    let base = format!("/accounts/{account}/registrar");
    let account = caller.within(&cloud, &account, Permission::Domains).await?;
    let name = parse(&name)?;
    let found = shown(&cloud, account, Some(name.clone())).await?;
    let held = found.first().ok_or_else(missing)?;
    let state = At::Succeeded { registration: Some(registration(held)) };
    let created_at = held.domain.created_at;
    Ok(ok(&Workflow { base, domain: name.as_str(), kind: UPDATE, created_at, updated_at: cloud.env.now(), state }.json()))
}

/// Switches renewal off, or says who can switch it on.
pub async fn set_renewal(cloud: &Shared, caller: &Caller, held: &Shown, renews: bool) -> Result<At, Failure> {
    let account = &caller.account.id;
    if renews && !held.renews {
        let message = format!(
            "renewal of `{}` costs money, which a token of this API does not spend; switch it on where the domain was ordered",
            held.domain.name
        );
        return Ok(At::ActionRequired { action: ORDER, message });
    }
    if !renews && held.renews {
        let changed = renewal(cloud, account.clone(), held.domain.request.clone(), false, caller.stands()).await;
        changed
            .map_err(|e| if e.body.code == code::CREDENTIALS_DISABLED { Failure::stopped() } else { Failure::invalid(e.to_string()) })?;
    }
    let fresh = shown(cloud, account, Some(held.domain.name.clone())).await?;
    Ok(At::Succeeded { registration: fresh.first().map(registration) })
}

/// How far the getting of a name has come, and since when.
async fn progress(cloud: &Shared, account: &CloudAccountId, name: &DomainName, years: u32) -> Result<(At, Timestamp), Failure> {
    let registrar = registrar(cloud)?;
    let (of, wanted) = (account.clone(), name.clone());
    let known = cloud.db.read(move |tx| -> Result<_, DbError> { Ok((domain_get(tx, &of, &wanted)?, domain_refused(tx, &of, &wanted)?)) });
    let (held, refused) = known.await?;
    match held.as_ref().map(|it| &it.state) {
        Some(Stage::Registered { .. }) => {
            let all = shown(cloud, account, Some(name.clone())).await?;
            let since = all.first().map_or(cloud.env.now(), |it| it.domain.created_at);
            return Ok((At::Succeeded { registration: all.first().map(registration) }, since));
        }
        Some(Stage::Pending) => return Ok((At::InProgress, held.as_ref().map_or(cloud.env.now(), |it| it.created_at))),
        _ => {}
    }
    match domain_quote(registrar, account, name, years, None).await {
        Ok(quote) => {
            let note = note(cloud, account, name).await?;
            Ok((At::ActionRequired { action: ORDER, message: order(name, quote.price, note.as_deref()) }, cloud.env.now()))
        }
        // Refused when it was ordered, and still not to be had.
        Err(QuoteError::Refused(now)) if refused.is_some() => {
            let since = refused.map_or(cloud.env.now(), |it| it.created_at);
            use purser_values::error::PublicError as _;
            Ok((At::Failed { code: now.code().to_owned(), message: now.to_string() }, since))
        }
        Err(e) => Err(unanswered(&e)),
    }
}

fn order(name: &DomainName, price: Money, note: Option<&str>) -> String {
    let price = if price.is_zero() { "it is paid already".to_owned() } else { format!("it costs {price} and cannot be given back") };
    let note = note.map(|note| format!("; {note}")).unwrap_or_default();
    format!(
        "`{name}` can be had; {price}. A token of this API spends no money: order it where budgets and approvals are, \
         `purser add slipway/registrar:domain --config '{{\"domain\":\"{name}\"}}'`{note}"
    )
}

/// A word on names of the account's own, or of companies that everybody knows, that this one is close to.
async fn note(cloud: &Cloud, account: &CloudAccountId, name: &DomainName) -> Result<Option<String>, Failure> {
    let account = account.clone();
    let names = cloud.db.read(move |tx| domain_names(tx, &account)).await?;
    let label = |name: &DomainName| name.as_str().split('.').next().unwrap_or_default().to_owned();
    let others: Vec<String> = names.iter().map(label).collect();
    Ok(typo_note(&label(name), others.iter().map(String::as_str).chain(cloud.guard.names.brands().iter())))
}

/// The account's registered names, or one of them.
pub async fn shown(cloud: &Cloud, account: &CloudAccountId, only: Option<DomainName>) -> Result<Vec<Shown>, Failure> {
    let account = account.clone();
    let read = cloud.db.read(move |tx| -> Result<Vec<Shown>, DbError> {
        let renewing: Vec<CloudResourceId> =
            subscription_list(tx, &account)?.into_iter().filter(|it| it.renews).map(|it| it.resource).collect();
        let mut all = Vec::new();
        for domain in domain_list(tx, &account)? {
            if only.as_ref().is_none_or(|only| *only == domain.name) {
                let locked = locked(tx, &domain.id)?;
                all.push(Shown { renews: renewing.contains(&domain.request), locked, domain });
            }
        }
        Ok(all)
    });
    Ok(read.await?)
}

pub fn registration(shown: &Shown) -> Value {
    let expires = match shown.domain.state {
        Stage::Registered { expires_at, .. } | Stage::Detached { expires_at, .. } => Some(expires_at),
        Stage::Pending | Stage::Refused(_) | Stage::Ended { .. } => None,
    };
    json!({
        "domain_name": shown.domain.name,
        "status": if expires.is_some() { "active" } else { "registration_pending" },
        "auto_renew": shown.renews,
        "locked": shown.locked,
        "privacy_mode": "redaction",
        "created_at": render::time(shown.domain.created_at),
        "expires_at": expires.map(render::time),
    })
}

impl New {
    /// The exact name that is asked for, of a registration that we do not have to refuse for what else it says.
    pub fn name(&self) -> Result<DomainName, Failure> {
        match self.privacy_mode.as_deref() {
            None | Some("redaction") => {}
            Some("off") => return Err(Failure::invalid("what is known of holders is never published, so `privacy_mode` is `redaction`")),
            Some(_) => return Err(Failure::invalid("`privacy_mode` is `redaction`")),
        }
        parse(&self.domain_name)
    }
}

/// A page after the name that the cursor says. A cursor is the last name of the page before.
pub fn paged(rows: &[(String, Value)], text: Option<&str>) -> Response {
    let per_page = query(text, "per_page").and_then(|n| n.parse::<usize>().ok()).unwrap_or(PER_PAGE).clamp(1, PER_PAGE_MOST);
    let after = query(text, "cursor").filter(|it| !it.is_empty());
    let start = after.and_then(|after| rows.iter().position(|(name, _)| *name == after)).map_or(0, |at| at + 1);
    let page: Vec<&(String, Value)> = rows.iter().skip(start).take(per_page).collect();
    let next = if start + page.len() < rows.len() { page.last().map(|(name, _)| name.clone()) } else { None };
    by_cursor(&page.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>(), next.as_deref())
}

/// By what the client asks: the name, or when it began or ends.
pub fn sort(rows: &mut [(String, Value)], text: Option<&str>) {
    let key = match query(text, "sort_by").as_deref() {
        Some("registry_created_at") => Some("created_at"),
        Some("registry_expires_at") => Some("expires_at"),
        _ => None,
    };
    if let Some(key) = key {
        rows.sort_by(|(a, x), (b, y)| x[key].as_str().cmp(&y[key].as_str()).then_with(|| a.cmp(b)));
    }
    if query(text, "direction").as_deref() == Some("desc") {
        rows.reverse();
    }
}

pub fn parse(name: &str) -> Result<DomainName, Failure> {
    name.parse().map_err(|e: purser_values::name::ParseNameError| Failure::invalid(e.to_string()))
}

pub fn missing() -> Failure {
    Failure::new(StatusCode::NOT_FOUND, 1_004, "there is no such registration in this account")
}
