//! The front page: what runs here, and how it is confined. No names, no numbers of anybody in particular.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, header};
use slipway_accounts::account::get::account_count;
use slipway_workers::WorkersError;
use slipway_workers::runtime::confinement::Confinement;

use crate::cloud::{Cloud, Shared};
use crate::config::Profile;

/// The one stylesheet of all pages.
const STYLE: &str = include_str!("../../templates/style.css");

pub async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css")], STYLE)
}

pub async fn front(State(cloud): State<Shared>) -> Response {
    let accounts = cloud.db.read(account_count).await.map_err(WorkersError::from);
    match (accounts, cloud.workers.script_count_live().await) {
        (Ok(accounts), Ok(live)) => Html(page(&cloud, accounts, live)).into_response(),
        (Err(e), _) | (_, Err(e)) => {
            tracing::error!(error = %e, "the front page cannot be shown");
            (StatusCode::SERVICE_UNAVAILABLE, Html(frame("<h1>slipway</h1><p>The database does not answer. Try again in a moment.</p>")))
                .into_response()
        }
    }
}

fn page(cloud: &Cloud, accounts: i64, live: i64) -> String {
    let mut body = String::from("<h1>slipway</h1>");
    if cloud.profile == Profile::Sandbox {
        body.push_str("<p class=\"mark\">Sandbox: no real money, no real domains.</p>");
    }
    if *cloud.workers.confinement() == Confinement::Unconfined {
        body.push_str("<p class=\"mark\">Unconfined: Workers run here without a jail. Run only code that you trust.</p>");
    }
    let document = &cloud.terms.0;
    let _ = write!(
        body,
        "<dl><dt>Accounts</dt><dd>{accounts}</dd><dt>Live Workers and sites</dt><dd>{live}</dd><dt>Confinement</dt><dd>{}</dd>\
         <dt>API</dt><dd><code>{}client/v4</code></dd>\
         <dt>Terms</dt><dd><a href=\"{}\">{}, version {}</a><br><small>SHA-256 {}</small></dd>\
         <dt>Your accounts</dt><dd><a href=\"/connections\">Connections</a></dd></dl>",
        escape(&confinement(cloud.workers.confinement())),
        escape(cloud.public_url.as_str()),
        escape(document.url.as_str()),
        escape(&document.title),
        escape(&document.version),
        document.sha256,
    );
    frame(&body)
}

fn confinement(found: &Confinement) -> String {
    match found {
        Confinement::Jailed => "each account's Workers run in a jail of their own".to_owned(),
        Confinement::Unconfined => "none".to_owned(),
        Confinement::Unavailable { why } => format!("Workers do not run on this host: {why}"),
    }
}

fn frame(body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>slipway</title><link rel=\"stylesheet\" href=\"/style.css\"></head><body><main>{body}</main></body></html>\n"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
