//! `POST /v1/caps`: a person sets an agent's cap at a provider in a month. An agent is refused, recorded, and told the page.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use purser_authority::action::CapSet as Set;
use purser_authority::{Attempt, Denied};
use purser_http::Problem;
use purser_http::extract::parse_json;
use purser_identity::agent;
use purser_provisioning::perform;
use purser_spend::Spender;
use purser_spend::cap::{self, CapError, CapSet};
use purser_values::id::AgentId;
use purser_values::name::ProviderName;
use purser_values::{Currency, Money};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::caller::Called;
use super::people_only::refuse;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Which agent's; an agent that asks means itself.
    agent: Option<AgentId>,
    /// Absent: at every provider without a cap of its own.
    provider: Option<ProviderName>,
    amount_minor: Option<i64>,
    #[serde(default = "usd")]
    currency: Currency,
}

const fn usd() -> Currency {
    Currency::USD
}

impl Wanted {
    /// The page with everything filled in.
    fn page(&self, agent: Option<&AgentId>) -> String {
        let Some(agent) = self.agent.as_ref().or(agent) else { return "/limits".to_owned() };
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("agent", agent.as_str()).append_pair("provider", self.provider.as_ref().map_or("", ProviderName::as_str));
        if let Some(minor) = self.amount_minor {
            query.append_pair("amount", &Money::from_minor(minor, self.currency).decimal());
        }
        format!("/limits?{}#{agent}", query.finish())
    }
}

pub async fn set(State(api): State<Api>, called: Called, body: Bytes) -> Result<Json<Value>, Problem> {
    if let Some(own) = called.caller().agent() {
        let page = parse_json::<Wanted>(&body).map_or_else(|_| "/limits".to_owned(), |wanted| wanted.page(Some(own)));
        return Err(refuse::<Set>(&api, called, &page).await);
    }
    let wanted: Wanted = parse_json(&body)?;
    let missing = |what: &str| Problem::invalid(format!("`{what}` is missing"));
    let of = wanted.agent.clone().ok_or_else(|| missing("agent"))?;
    let amount = Money::from_minor(wanted.amount_minor.ok_or_else(|| missing("amount_minor"))?, wanted.currency);
    let (caller, env) = (called.context.caller, api.app.core.env.clone());
    perform(&api.app.core, Attempt::new("cap_set", &caller, of.as_str()), move |tx| {
        let permit = agent::permit::<Set, CapError>(tx, &caller, &of, env.now())?;
        let organisation = caller.organisation().ok_or(Denied::Anonymous)?.clone();
        let spender = Spender { organisation, agent: of.clone() };
        cap::set(tx, &env, &permit, &CapSet { spender, provider: wanted.provider.clone(), amount })
    })
    .await?;
    Ok(Json(json!({ "cap": amount })))
}
