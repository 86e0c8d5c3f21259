//! `/v1/rates`: by which stated rates purchases count against ceilings in other currencies. An owner states them; an agent sees them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use purser_authority::action::{CapRead, RateSet as RateSetAction};
use purser_authority::{Attempt, Denied, Done, Facts, authorise};
use purser_http::Problem;
use purser_http::extract::parse_json;
use purser_provisioning::perform;
use purser_spend::rate::{self, Rate, RateError, RateSet, Ratio};
use purser_values::{Currency, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;
use super::people_only::refuse;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    from: Currency,
    to: Currency,
    /// What one unit is: `1.0842` or `271/250`. `null` takes the rate back.
    rate: Option<String>,
    #[serde(default)]
    deviation_bp: i64,
    #[serde(default)]
    source: String,
    /// Now, if it does not say.
    #[serde(default)]
    valid_from: Option<Timestamp>,
    #[serde(default)]
    valid_until: Option<Timestamp>,
}

pub async fn list(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let (context, env) = (called.context, api.app.core.env.clone());
    let found = api.app.core.db.read::<_, RateError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<CapRead>(&context.caller, &context.facts(env.now(), organisation.as_str()))?;
        let all = rate::all(tx, &permit, &organisation)?;
        Ok(all.iter().map(|rate| view(rate, env.now())).collect::<Vec<_>>())
    });
    Ok(Json(json!({ "rates": found.await?, "url": api.app.page("/limits#rates") })))
}

fn view(rate: &Rate, now: Timestamp) -> Value {
    let mut view = json!(rate);
    view["rate"] = json!(rate.ratio.to_string());
    view["in_force"] = json!(rate.is_in_force(now));
    view
}

pub async fn set(State(api): State<Api>, called: Called, body: Bytes) -> Result<Json<Value>, Problem> {
    if called.caller().agent().is_some() {
        return Err(refuse::<RateSetAction>(&api, called, "/limits#rates").await);
    }
    let wanted: Wanted = parse_json(&body)?;
    let (caller, env) = (called.context.caller, api.app.core.env.clone());
    let organisation = caller.organisation().cloned().ok_or(Denied::Anonymous)?;
    let now = env.now();
    let stated = wanted.rate.as_deref().map(Ratio::parse).transpose()?;
    let stated = stated.map(|ratio| Rate {
        from: wanted.from,
        to: wanted.to,
        ratio,
        deviation_bp: wanted.deviation_bp,
        source: wanted.source.clone(),
        valid_from: wanted.valid_from.unwrap_or(now),
        valid_until: wanted.valid_until.unwrap_or(now),
    });
    let answer = json!({ "rate": stated.as_ref().map(|rate| view(rate, now)) });
    perform(&api.app.core, Attempt::new("rate_set", &caller, organisation.as_str()), move |tx| -> Result<Done<()>, RateError> {
        let permit = authorise::<RateSetAction>(&caller, &Facts::new(env.now(), organisation.as_str()))?;
        match &stated {
            Some(rate) => rate::set(tx, &env, &permit, &RateSet { organisation: organisation.clone(), rate: rate.clone() }),
            None => rate::remove(tx, &permit, &organisation, wanted.from, wanted.to),
        }
    })
    .await?;
    Ok(Json(answer))
}
