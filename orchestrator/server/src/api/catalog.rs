//! `GET /v1/catalog`: what can be bought here. Anybody may look.

use axum::Json;
use axum::extract::State;
use purser_catalogue::{Listing, Price};
use purser_db::DbError;
use purser_http::Problem;
use purser_http::extract::Query;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;

#[derive(Deserialize)]
pub struct Filter {
    filter: Option<String>,
    q: Option<String>,
}

pub async fn list(State(api): State<Api>, Query(filter): Query<Filter>) -> Result<Json<Value>, Problem> {
    let found = api.app.core.db.read::<_, DbError, _>(move |tx| match &filter.q {
        Some(query) => purser_catalogue::search(tx, query),
        None => purser_catalogue::list(tx, filter.filter.as_deref()),
    });
    let services: Vec<Value> = found.await?.iter().map(render).collect();
    Ok(Json(json!({ "services": services })))
}

fn render(listing: &Listing) -> Value {
    json!({
        "ref": listing.service, "description": listing.description, "kind": listing.kind, "categories": listing.categories,
        "price": price(&listing.price), "parents": listing.parents, "configuration_schema": listing.configuration_schema,
        "credentials": listing.credentials, "plan_required": !listing.parents.is_empty(),
    })
}

pub(super) fn price(price: &Price) -> Value {
    match price {
        Price::Free => json!({"kind": "free"}),
        Price::Included => json!({"kind": "included"}),
        Price::Unknown { text } => json!({"kind": "unknown", "text": text}),
        Price::Known { amount, period, unit, refundable, irreversible, metered } => {
            let mut price = json!({
                "kind": "known", "amount": amount.decimal(), "amount_minor": amount.minor(), "currency": amount.currency(), "period": period,
                "unit": unit, "refundable": refundable, "irreversible": irreversible,
            });
            if !metered.is_empty() {
                price["metered"] = json!(metered);
            }
            price
        }
    }
}
