//! `/v1/ceilings`: what stands over the organisation, projects, environments, agents, grants, providers and categories; a person sets it.
//! An agent sees what concerns it, and is refused, recorded, and told the page when it tries to set one.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use purser_authority::action::{CapRead, CapSet};
use purser_authority::{Attempt, Denied, Done, Facts, authorise};
use purser_http::Problem;
use purser_http::extract::parse_json;
use purser_identity::CallContext;
use purser_provisioning::perform;
use purser_spend::calendar::Period;
use purser_spend::ceiling::{self, CeilingError, CeilingSet, Scope};
use purser_values::{Currency, Money};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;
use super::people_only::refuse;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    scope: Scope,
    /// Nothing for the organisation.
    #[serde(default)]
    subject: String,
    period: Period,
    /// `null`: no ceiling any more. It must be said, so that a forgotten amount takes nothing away.
    #[serde(default, deserialize_with = "said")]
    amount_minor: Option<Option<i64>>,
    #[serde(default = "usd")]
    currency: Currency,
}

const fn usd() -> Currency {
    Currency::USD
}

/// Something that is there, and be it `null`.
fn said<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(d).map(Some)
}

impl Wanted {
    /// The page with everything filled in.
    fn page(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("scope", self.scope.name()).append_pair("subject", &self.subject);
        query.append_pair("period", self.period.name()).append_pair("currency", self.currency.code());
        if let Some(minor) = self.amount_minor.flatten() {
            query.append_pair("amount", &Money::from_minor(minor, self.currency).decimal());
        }
        format!("/limits?{}#ceilings", query.finish())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WantedZone {
    zone: String,
}

pub async fn list(State(api): State<Api>, called: Called) -> Result<Json<Value>, Problem> {
    let (context, env) = (called.context, api.app.core.env.clone());
    let found = api.app.core.db.read::<_, CeilingError, _>(move |tx| {
        let organisation = context.caller.organisation().cloned().ok_or(Denied::Anonymous)?;
        let permit = authorise::<CapRead>(&context.caller, &context.facts(env.now(), organisation.as_str()))?;
        let mut all = ceiling::all(tx, &env, &permit, &organisation)?;
        all.retain(|view| reaches(&context, view.rule.scope, &view.rule.subject));
        Ok((all, ceiling::zone(tx, &organisation)?.name().to_owned()))
    });
    let (ceilings, zone) = found.await?;
    Ok(Json(json!({ "ceilings": ceilings, "zone": zone })))
}

/// Whether an agent's grant reaches the project that a ceiling or a budget is over.
pub(super) fn reaches(context: &CallContext, scope: Scope, subject: &str) -> bool {
    let Some(grant) = &context.grant else { return true };
    match scope {
        Scope::Project | Scope::Environment => {
            let project = subject.split('/').next().unwrap_or_default();
            project.parse().is_ok_and(|project| grant.projects.contains(&project))
        }
        _ => true,
    }
}

pub async fn set(State(api): State<Api>, called: Called, body: Bytes) -> Result<Json<Value>, Problem> {
    if called.caller().agent().is_some() {
        let page = parse_json::<Wanted>(&body).map_or_else(|_| "/limits#ceilings".to_owned(), |wanted| wanted.page());
        return Err(refuse::<CapSet>(&api, called, &page).await);
    }
    let wanted: Wanted = parse_json(&body)?;
    let minor = wanted.amount_minor.ok_or_else(|| Problem::invalid("`amount_minor` is missing; `null` takes the ceiling away"))?;
    let amount = minor.map(|minor| Money::from_minor(minor, wanted.currency));
    let (caller, env) = (called.context.caller, api.app.core.env.clone());
    let organisation = caller.organisation().cloned().ok_or(Denied::Anonymous)?;
    perform(&api.app.core, Attempt::new("cap_set", &caller, organisation.as_str()), move |tx| -> Result<Done<()>, CeilingError> {
        let permit = authorise::<CapSet>(&caller, &Facts::new(env.now(), organisation.as_str()))?;
        let Wanted { scope, subject, period, .. } = &wanted;
        let set = CeilingSet { organisation: organisation.clone(), scope: *scope, subject: subject.clone(), period: *period, amount };
        ceiling::set(tx, &env, &permit, &set)
    })
    .await?;
    Ok(Json(json!({ "ceiling": amount })))
}

pub async fn zone(State(api): State<Api>, called: Called, body: Bytes) -> Result<Json<Value>, Problem> {
    if called.caller().agent().is_some() {
        return Err(refuse::<CapSet>(&api, called, "/limits#ceilings").await);
    }
    let WantedZone { zone } = parse_json(&body)?;
    let (caller, env, name) = (called.context.caller, api.app.core.env.clone(), zone.clone());
    let organisation = caller.organisation().cloned().ok_or(Denied::Anonymous)?;
    perform(&api.app.core, Attempt::new("cap_set", &caller, organisation.as_str()), move |tx| -> Result<Done<()>, CeilingError> {
        let permit = authorise::<CapSet>(&caller, &Facts::new(env.now(), organisation.as_str()))?;
        ceiling::zone_set(tx, &env, &permit, &organisation, name.trim())
    })
    .await?;
    Ok(Json(json!({ "zone": zone })))
}

#[cfg(test)]
mod tests {
    use super::Wanted;

    #[test]
    fn a_forgotten_amount_is_not_the_wish_for_no_ceiling() {
        let read = |amount: &str| serde_json::from_str::<Wanted>(&format!(r#"{{"scope":"organisation","period":"day"{amount}}}"#)).unwrap();
        assert_eq!(read("").amount_minor, None);
        assert_eq!(read(r#","amount_minor":null"#).amount_minor, Some(None));
        assert_eq!(read(r#","amount_minor":5"#).amount_minor, Some(Some(5)));
    }
}
