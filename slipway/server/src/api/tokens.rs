//! `/user/tokens` and `/accounts/{id}/tokens`: tokens that a token makes for itself. None can do more than its maker or outlives it, and
//! nobody sees, rolls or deletes a token that does not descend from theirs.

use axum::extract::{Path, RawQuery, Request, State};
use http::{HeaderMap, StatusCode};
use purser_values::{Sha256Digest, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::tree::{TokenError, Told, Wish, token_create, token_delete, token_get, token_list, token_roll, token_update};
use slipway_accounts::token::{Permission, Permissions};

use super::body::Json;
use super::caller::Caller;
use super::envelope::{Answer, Failure, Page, ok, page};
use super::repeat::ATTEMPT;
use super::{render, user};
use crate::cloud::Shared;

/// The body of a new or changed token.
#[derive(Deserialize)]
pub struct Body {
    name: String,
    policies: Vec<Policy>,
    #[serde(default)]
    condition: Option<Value>,
    #[serde(default)]
    not_before: Option<Timestamp>,
    #[serde(default)]
    expires_on: Option<Timestamp>,
    #[serde(default)]
    status: Option<String>,
}

#[derive(Deserialize)]
struct Policy {
    effect: String,
    permission_groups: Vec<Group>,
    resources: serde_json::Map<String, Value>,
}

#[derive(Deserialize)]
struct Group {
    id: String,
}

impl From<TokenError> for Failure {
    fn from(e: TokenError) -> Self {
        let (status, code) = match &e {
            TokenError::NotFound => (StatusCode::NOT_FOUND, 1_003),
            TokenError::Wider(_) | TokenError::Outlives | TokenError::Precedes | TokenError::MakerDisabled | TokenError::Delivered => {
                (StatusCode::FORBIDDEN, 9_109)
            }
            TokenError::TooMany | TokenError::Name => (StatusCode::BAD_REQUEST, 1_001),
            TokenError::Store(cause) => return Self::internal(cause),
        };
        Self::new(status, code, e.to_string())
    }
}

pub async fn groups(RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let all: Vec<Value> = caller.token.permissions.each().map(group).collect();
    Ok(page(&all, Page::of(text.as_deref())))
}

pub async fn list(State(cloud): State<Shared>, RawQuery(text): RawQuery, caller: Caller) -> Answer {
    let token = caller.token.clone();
    let all = cloud.db.read(move |tx| token_list(tx, &token)).await?;
    let all: Vec<Value> = all.iter().map(|told| shown(&cloud, &caller, told)).collect();
    Ok(page(&all, Page::of(text.as_deref())))
}

pub async fn get(State(cloud): State<Shared>, Path(id): Path<String>, caller: Caller) -> Answer {
    let token = caller.token.clone();
    let told = cloud.db.read(move |tx| token_get(tx, &token, &id)).await?;
    Ok(ok(&shown(&cloud, &caller, &told)))
}

/// The value is in this answer and nowhere else.
pub async fn create(State(cloud): State<Shared>, headers: HeaderMap, caller: Caller, Json(body): Json<Body>) -> Answer {
    let wish = wish(&caller, body)?;
    let again = headers.get(ATTEMPT).is_some_and(|count| count != "0");
    let (env, token, standing) = (cloud.env.clone(), caller.token.clone(), caller.standing());
    let made = cloud.db.write(move |tx| {
        standing(tx).map_err(Failure::from)?;
        Ok::<_, Failure>(token_create(tx, &env, &token, &wish, again)?)
    });
    let (told, value) = made.await?;
    let mut answer = shown(&cloud, &caller, &told);
    answer["value"] = json!(value.expose());
    Ok(ok(&answer))
}

pub async fn update(State(cloud): State<Shared>, Path(id): Path<String>, caller: Caller, Json(body): Json<Body>) -> Answer {
    let wish = wish(&caller, body)?;
    let (env, token, standing) = (cloud.env.clone(), caller.token.clone(), caller.standing());
    let changed = cloud.db.write(move |tx| {
        standing(tx).map_err(Failure::from)?;
        Ok::<_, Failure>(token_update(tx, &env, &token, &id, &wish)?)
    });
    Ok(ok(&shown(&cloud, &caller, &changed.await?)))
}

pub async fn roll(State(cloud): State<Shared>, Path(id): Path<String>, caller: Caller) -> Answer {
    let (env, token, standing) = (cloud.env.clone(), caller.token.clone(), caller.standing());
    let rolled = cloud.db.write(move |tx| {
        standing(tx).map_err(Failure::from)?;
        Ok::<_, Failure>(token_roll(tx, &env, &token, &id)?)
    });
    Ok(ok(&json!(rolled.await?.expose())))
}

pub async fn delete(State(cloud): State<Shared>, Path(id): Path<String>, caller: Caller) -> Answer {
    let (env, token, standing) = (cloud.env.clone(), caller.token.clone(), caller.standing());
    let gone = id.clone();
    let deleted = cloud.db.write(move |tx| {
        standing(tx).map_err(Failure::from)?;
        Ok::<_, Failure>(token_delete(tx, &env, &token, &gone)?)
    });
    deleted.await?;
    Ok(ok(&json!({"id": id})))
}

pub async fn verify_of_account(State(cloud): State<Shared>, Path(account): Path<String>, caller: Caller, request: Request) -> Answer {
    own(&caller, &account)?;
    user::verify(State(cloud), request).await
}

pub async fn groups_of_account(Path(account): Path<String>, text: RawQuery, caller: Caller) -> Answer {
    own(&caller, &account)?;
    groups(text, caller).await
}

pub async fn list_of_account(cloud: State<Shared>, Path(account): Path<String>, text: RawQuery, caller: Caller) -> Answer {
    own(&caller, &account)?;
    list(cloud, text, caller).await
}

pub async fn get_of_account(cloud: State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    own(&caller, &account)?;
    get(cloud, Path(id), caller).await
}

pub async fn create_of_account(
    cloud: State<Shared>,
    Path(account): Path<String>,
    headers: HeaderMap,
    caller: Caller,
    body: Json<Body>,
) -> Answer {
    own(&caller, &account)?;
    create(cloud, headers, caller, body).await
}

pub async fn update_of_account(
    cloud: State<Shared>,
    Path((account, id)): Path<(String, String)>,
    caller: Caller,
    body: Json<Body>,
) -> Answer {
    own(&caller, &account)?;
    update(cloud, Path(id), caller, body).await
}

pub async fn roll_of_account(cloud: State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    own(&caller, &account)?;
    roll(cloud, Path(id), caller).await
}

pub async fn delete_of_account(cloud: State<Shared>, Path((account, id)): Path<(String, String)>, caller: Caller) -> Answer {
    own(&caller, &account)?;
    delete(cloud, Path(id), caller).await
}

fn own(caller: &Caller, account: &str) -> Result<(), Failure> {
    if account == caller.account.hex.as_str() { Ok(()) } else { Err(Failure::foreign()) }
}

/// What a client asks for, in our permissions. What we could not hold a token to is refused and not ignored.
fn wish(caller: &Caller, body: Body) -> Result<Wish, Failure> {
    if body.condition.as_ref().is_some_and(|c| c.as_object().is_some_and(|o| !o.is_empty())) {
        return Err(Failure::invalid("tokens cannot be tied to addresses here; leave `condition` out"));
    }
    let mut wanted = Permissions::of(&[]);
    for policy in &body.policies {
        if policy.effect != "allow" {
            return Err(Failure::invalid("a policy with the effect `deny` does not exist here; leave the permission out"));
        }
        let whole = format!("com.cloudflare.api.account.{}", caller.account.hex.as_str());
        if policy.resources.is_empty() || policy.resources.iter().any(|(key, value)| *key != whole || value != "*") {
            return Err(Failure::invalid(format!("a token of this account is for `{{\"{whole}\": \"*\"}}`, all of it")));
        }
        for asked in &policy.permission_groups {
            let known = Permissions::ALL.each().find(|permission| id_of(*permission) == asked.id);
            let known = known.ok_or_else(|| Failure::invalid("one of the permission groups does not exist here; list them first"))?;
            wanted = wanted.and(known);
        }
    }
    let disabled = match body.status.as_deref() {
        None | Some("active" | "expired") => false,
        Some("disabled") => true,
        Some(_) => return Err(Failure::invalid("the status of a token is `active` or `disabled`")),
    };
    Ok(Wish { name: body.name, permissions: wanted, not_before: body.not_before, expires_at: body.expires_on, disabled })
}

fn shown(cloud: &Shared, caller: &Caller, told: &Told) -> Value {
    let expired = told.expires_at.is_some_and(|end| end <= cloud.env.now());
    let groups: Vec<Value> = told.permissions.each().map(group).collect();
    let mut resources = serde_json::Map::new();
    resources.insert(format!("com.cloudflare.api.account.{}", caller.account.hex.as_str()), json!("*"));
    json!({
        "id": told.id,
        "name": told.name,
        "status": if told.disabled { "disabled" } else if expired { "expired" } else { "active" },
        "issued_on": render::time(told.created_at),
        "modified_on": render::time(told.changed_at),
        "not_before": told.not_before.map(render::time),
        "expires_on": told.expires_at.map(render::time),
        "policies": [{"id": told.id, "effect": "allow", "permission_groups": groups, "resources": resources}],
    })
}

fn group(permission: Permission) -> Value {
    let name = match permission.as_str() {
        "workers" => "Workers Scripts Write",
        "assets" => "Workers Assets Write",
        "domains" => "Zones and Custom Domains Write",
        other => other,
    };
    json!({"id": id_of(permission), "name": name, "description": "", "scopes": ["com.cloudflare.api.account"]})
}

/// The same in every installation.
fn id_of(permission: Permission) -> String {
    let digest = Sha256Digest::of(format!("slipway permission group {}", permission.as_str()).as_bytes()).to_string();
    digest.chars().filter(char::is_ascii_hexdigit).take(32).collect()
}
