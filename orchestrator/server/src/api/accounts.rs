//! `POST /v1/accounts`: connect an account at a provider, and answer what the provider wants to know first.

use axum::Json;
use axum::extract::State;
use purser_http::Problem;
use purser_http::extract::Json as Body;
use purser_http::extract::Query;
use purser_provisioning::account_link::{account_inform, account_link};
use purser_values::name::ProviderName;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Api;
use super::caller::Called;
use super::sagas::{Poll, follow};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    provider: ProviderName,
    #[serde(default)]
    information: Option<Map<String, Value>>,
}

pub async fn link(
    State(api): State<Api>,
    called: Called,
    Query(poll): Query<Poll>,
    Body(link): Body<Link>,
) -> Result<Json<Value>, Problem> {
    if let Some(information) = link.information {
        account_inform(&api.app, called.caller(), link.provider.clone(), information).await?;
    }
    let saga = account_link(&api.app, called.caller(), &called.jkt, link.provider).await?;
    follow(&api, &saga, &poll).await
}
