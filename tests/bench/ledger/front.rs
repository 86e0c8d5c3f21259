//! The same authorisations over HTTP: one JSON request for each, on 64 connections that are kept.
//!
//! The front does what any front must: it reads the request, asks, and writes the answer. Who the caller is was settled before; a
//! signature would be the larger part of what is measured.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::connection::Connection;
use crate::counter::Counter;
use crate::load::{CALLERS, Measured, measured};

#[derive(Deserialize)]
struct Asked {
    caller: usize,
    amount_minor: i64,
    currency: String,
}

async fn authorise(State(counter): State<Counter>, Json(asked): Json<Asked>) -> Json<Value> {
    assert_eq!((asked.amount_minor, asked.currency.as_str()), (1, "USD"));
    let hold = counter.authorise(asked.caller).await;
    Json(json!({"id": hold.id, "state": hold.state, "amount": hold.amount}))
}

pub async fn over_http(counter: &Counter, window: Duration) -> Measured {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/v1/authorisations", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/authorisations", post(authorise)).with_state(counter.clone());
    let server = tokio::spawn(async move { axum::serve(tokio_nodelay(listener), router).await.unwrap() });
    let began = Instant::now();
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let url = url.clone();
            tokio::spawn(async move {
                let (mut connection, mut took) = (Connection::open(&url).await, Vec::new());
                let body = json!({"caller": caller, "amount_minor": 1, "currency": "USD"}).to_string();
                connection.body("application/json", &[], &body);
                while began.elapsed() < window {
                    let asked = Instant::now();
                    let answer = connection.ask().await;
                    assert!(answer.starts_with(b"{"), "an answer is JSON");
                    took.push(asked.elapsed());
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    let measured = measured(all, began.elapsed());
    server.abort();
    measured
}

/// Small answers must not wait for the next.
fn tokio_nodelay(listener: TcpListener) -> impl axum::serve::Listener<Addr = std::net::SocketAddr> {
    use axum::serve::ListenerExt as _;
    listener.tap_io(|stream| drop(stream.set_nodelay(true)))
}
