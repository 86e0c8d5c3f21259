//! `/zones/{zone}/dnssec`: whether a zone is signed, and what its parent should say.

use axum::extract::{Path, State};
use http::StatusCode;
use purser_values::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_accounts::token::Permission;
use slipway_dns::dnssec::keys::{Key, KeyState, KeysError, Pushed, Signing, keys, pushed, signing, zone_ds, zone_sign, zone_unsign};
use slipway_dns::zone::get::zone_by_id;
use slipway_dns::zone::{Zone, ZoneError};

use super::body::Json;
use super::caller::Caller;
use super::dns_records::zone_of;
use super::envelope::{Answer, Failure, ok};
use super::render;
use crate::cloud::Shared;
use crate::domain::follow;

/// How long parents keep what they say, as the line that people copy has it.
const DS_TTL_S: u32 = 3_600;
/// The code by which clients know that a zone is signed and has to be unsigned first.
const STILL_SIGNED: u32 = 1_004;

#[derive(Deserialize)]
pub struct Change {
    #[serde(default)]
    status: Option<Wanted>,
    #[serde(default)]
    dnssec_presigned: Option<bool>,
    #[serde(default)]
    dnssec_multi_signer: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wanted {
    Active,
    Disabled,
}

/// What is known of a zone's keys.
struct Known {
    signing: Signing,
    keys: Vec<Key>,
    told: Pushed,
    up_to_date: bool,
}

pub async fn get(State(cloud): State<Shared>, Path(zone): Path<String>, caller: Caller) -> Answer {
    let zone = zone_of(&cloud, &caller, &zone).await?;
    shown(&cloud, zone).await
}

pub async fn edit(State(cloud): State<Shared>, Path(zone): Path<String>, caller: Caller, Json(body): Json<Change>) -> Answer {
    if body.dnssec_presigned == Some(true) || body.dnssec_multi_signer == Some(true) {
        return Err(Failure::invalid("zones are signed here, with keys of ours alone"));
    }
    let account = caller.within(&cloud, caller.account.hex.as_str(), Permission::Domains).await?.clone();
    let (env, keyring, id, standing) = (cloud.env.clone(), cloud.keyring.clone(), zone.clone(), caller.standing());
    let written = cloud.db.write(move |tx| -> Result<Zone, Failure> {
        standing(tx)?;
        let zone = zone_by_id(tx, &account, &id).map_err(|e| refuse(e.into()))?;
        match body.status {
            Some(Wanted::Active) => zone_sign(tx, &env, &keyring, &zone).map_err(refuse)?,
            Some(Wanted::Disabled) => zone_unsign(tx, env.now(), &zone).map_err(refuse)?,
            None => {}
        }
        Ok(zone)
    });
    let zone = written.await?;
    follow(&cloud, &zone.name).await;
    shown(&cloud, zone).await
}

/// Nothing is left to delete once a zone is no longer signed.
pub async fn delete(State(cloud): State<Shared>, Path(zone): Path<String>, caller: Caller) -> Answer {
    let zone = zone_of(&cloud, &caller, &zone).await?;
    caller.within(&cloud, caller.account.hex.as_str(), Permission::Domains).await?;
    match cloud.db.read(move |tx| signing(tx, &zone)).await? {
        Signing::On { .. } => {
            Err(Failure::new(StatusCode::BAD_REQUEST, STILL_SIGNED, "the zone is signed; set its status to `disabled` first"))
        }
        Signing::Off | Signing::Ending { .. } => Ok(ok(&json!(""))),
    }
}

async fn shown(cloud: &Shared, zone: Zone) -> Answer {
    let now = cloud.env.now();
    let of = zone.clone();
    let state = cloud.db.read(move |tx| -> Result<Known, KeysError> {
        let told = pushed(tx, &of)?;
        Ok(Known { signing: signing(tx, &of)?, keys: keys(tx, &of)?, up_to_date: zone_ds(tx, now, &of)? == told.ds, told })
    });
    let state = state.await.map_err(refuse)?;
    render(&zone, &state).map(|value| ok(&value))
}

fn render(zone: &Zone, state: &Known) -> Result<Value, Failure> {
    let status = match state.signing {
        Signing::Off => "disabled",
        Signing::Ending { .. } => "pending-disabled",
        Signing::On { .. } if state.up_to_date && !state.told.ds.is_empty() => "active",
        Signing::On { .. } => "pending",
    };
    let mut value = json!({"status": status, "dnssec_multi_signer": false, "dnssec_presigned": false, "dnssec_use_nsec3": true});
    let Some(key) = state.keys.iter().find(|key| key.state == KeyState::Active) else { return Ok(value) };
    let ds = key.ds(&zone.name).map_err(refuse)?;
    let modified: Timestamp = key.since;
    let more = json!({
        "algorithm": ds.algorithm.to_string(),
        "digest": ds.digest,
        "digest_algorithm": "SHA256",
        "digest_type": ds.digest_type.to_string(),
        "ds": format!("{}. {DS_TTL_S} IN DS {} {} {} {}", zone.name, ds.key_tag, ds.algorithm, ds.digest_type, ds.digest),
        "flags": 257,
        "key_tag": ds.key_tag,
        "key_type": "ECDSAP256SHA256",
        "modified_on": render::time(modified),
        "public_key": key.public_base64(),
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    Ok(value)
}

fn refuse(e: KeysError) -> Failure {
    match e {
        KeysError::Zone(ZoneError::NotFound) => Failure::no_route("/zones"),
        e => Failure::internal(&e),
    }
}
