//! `GET /v1/whoami`.

use axum::Json;
use axum::extract::State;
use purser_db::DbError;
use purser_http::Problem;
use purser_identity::whoami::{WhoAmI, whoami};

use super::Api;
use super::caller::Called;

pub async fn read(State(api): State<Api>, called: Called) -> Result<Json<WhoAmI>, Problem> {
    let context = called.context;
    Ok(Json(api.app.core.db.read::<_, DbError, _>(move |tx| whoami(tx, &context)).await?))
}
