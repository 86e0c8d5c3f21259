//! The least server that the same library makes: what our own layers are compared with. A process of its own, as ours is.

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

/// Says its port on stdout, and serves until it is killed.
pub async fn serve() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    axum::serve(listener, Router::new().route("/health", get(health))).await.unwrap();
}

async fn health() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}
