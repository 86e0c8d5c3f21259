//! `/limits`, its rates: by which stated rates purchases count against ceilings in other currencies.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use http::StatusCode;
use purser_authority::action::RateSet as RateSetAction;
use purser_authority::{Attempt, Caller, Denied, Done, Facts, Role, authorise};
use purser_provisioning::perform;
use purser_spend::rate::{self, Rate, RateError, RateSet, Ratio};
use purser_values::money::MoneyError;
use purser_values::{Currency, Timestamp};
use serde::Deserialize;

use super::failure::PageError;
use super::form::SignedForm;
use crate::front::Front;

/// A day, in seconds.
const DAY_S: i64 = 86_400;

/// One rate, in words.
pub struct RateRow {
    pub from: Currency,
    pub to: Currency,
    pub words: String,
    pub source: String,
    pub since: String,
    pub until: String,
    pub in_force: bool,
}

impl RateRow {
    pub fn of(rate: &Rate, now: Timestamp) -> Self {
        Self {
            from: rate.from,
            to: rate.to,
            words: rate.to_string(),
            source: rate.source.clone(),
            since: rate.valid_from.for_people(),
            until: rate.valid_until.for_people(),
            in_force: rate.is_in_force(now),
        }
    }
}

/// Whether this person can state one.
pub fn may_state(caller: &Caller) -> bool {
    matches!(caller, Caller::Person { role: Role::Owner, .. })
}

#[derive(Deserialize)]
pub struct Change {
    from: String,
    to: String,
    /// Empty: take the rate back.
    #[serde(default)]
    rate: String,
    #[serde(default)]
    deviation_bp: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    days: String,
}

pub async fn post(State(front): State<Front>, signed: SignedForm<Change>) -> Result<Response, PageError> {
    let SignedForm { session, form } = signed;
    let bad = |e: MoneyError| PageError::new(StatusCode::BAD_REQUEST, "rate_currency", &e.to_string());
    let number = |text: &str, what| {
        let read = text.trim().parse::<i64>().ok().filter(|number| (0..=100_000).contains(number));
        read.ok_or_else(|| PageError::new(StatusCode::BAD_REQUEST, "rate_number", what))
    };
    let (from, to): (Currency, Currency) = (form.from.trim().parse().map_err(bad)?, form.to.trim().parse().map_err(bad)?);
    let (caller, env) = (session.caller(), front.realm.env.clone());
    let stated = match form.rate.trim() {
        "" => None,
        text => Some(Rate {
            from,
            to,
            ratio: Ratio::parse(text)?,
            deviation_bp: number(&form.deviation_bp, "the deviation is a number of basis points, such as 200")?,
            source: form.source.clone(),
            valid_from: env.now(),
            valid_until: env.now().plus_secs(number(&form.days, "say for how many days")? * DAY_S),
        }),
    };
    let organisation = caller.organisation().ok_or(Denied::NotFound)?.clone();
    perform(&front.core, Attempt::new("rate_set", &caller, organisation.as_str()), move |tx| -> Result<Done<()>, RateError> {
        let permit = authorise::<RateSetAction>(&caller, &Facts::new(env.now(), organisation.as_str()))?;
        match &stated {
            Some(rate) => rate::set(tx, &env, &permit, &RateSet { organisation: organisation.clone(), rate: rate.clone() }),
            None => rate::remove(tx, &permit, &organisation, from, to),
        }
    })
    .await?;
    Ok(Redirect::to("/limits#rates").into_response())
}
