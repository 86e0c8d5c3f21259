//! Certified clients in JavaScript and Python run every flow that they implement.

use crate::bench::{Bench, all_well};

#[tokio::test(flavor = "multi_thread")]
async fn strict_clients_in_javascript_accept_every_flow() {
    let Some(bench) = Bench::start().await else { return };
    all_well(&bench.node("relying.mjs", &[]).await, 21);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_python_accepts_every_flow() {
    let Some(bench) = Bench::start().await else { return };
    all_well(&bench.python("authlib_client.py").await, 9);
}
