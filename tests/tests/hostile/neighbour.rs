//! Somebody who minds their own business, fifty times a second.

use std::fmt;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde_json::json;

use crate::SECRET;
use crate::support::{DATE, ESM, World, multipart};
use crate::visitors;

const EVERY: Duration = Duration::from_millis(20);

#[derive(Clone)]
pub struct Neighbour {
    pub host: String,
    pub account: String,
    edge: crate::Edge,
}

/// How it went.
pub struct Seen {
    times: Vec<Duration>,
    pub failed: usize,
    first: Option<String>,
}

impl Neighbour {
    pub async fn settle(world: &World) -> Self {
        let customer = world.customer("neighbour").await;
        let workers = world.workers(&customer, "agt_neighbour").await;
        let code = "export default { async fetch(request, env) {
            const cached = await caches.default.match(request);
            return new Response(cached ? 'poisoned' : 'fine ' + env.SECRET.length);
        } }";
        let metadata = json!({"main_module": "index.js", "compatibility_date": DATE,
            "bindings": [{"type": "secret_text", "name": "SECRET", "text": SECRET}]});
        let (kind, body) = multipart(&[("metadata", None, metadata.to_string().as_bytes()), ("index.js", Some(ESM), code.as_bytes())]);
        let path = format!("/accounts/{}/workers/scripts/fine", workers.account);
        let (status, answer) = world.api_raw(&workers.token, Method::PUT, &path, &kind, body).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        world.api(&workers.token, Method::POST, &format!("{path}/subdomain"), Some(json!({"enabled": true}))).await;
        let (_, found) = world.api(&workers.token, Method::GET, &format!("/accounts/{}/workers/workers/fine", workers.account), None).await;
        let host = found["result"]["subdomain"]["url"].as_str().unwrap().trim_start_matches("https://").to_owned();
        Self { host, account: workers.account, edge: world.edge_http }
    }

    /// Asks for a while with nobody attacking.
    pub async fn ask_for(&self, time: Duration) -> Seen {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let (seen, ()) = tokio::join!(self.ask_until(stopped), async {
            tokio::time::sleep(time).await;
            stop.send_replace(true);
        });
        seen
    }

    /// Asks fifty times a second, each on a connection of its own, whether the one before was answered or not.
    pub async fn ask_until(&self, stopped: tokio::sync::watch::Receiver<bool>) -> Seen {
        let mut ticks = tokio::time::interval(EVERY);
        let mut asked = tokio::task::JoinSet::new();
        while !*stopped.borrow() {
            ticks.tick().await;
            let this = self.clone();
            asked.spawn(async move {
                let begun = Instant::now();
                (visitors::get(this.edge, &this.host, "/", Duration::from_secs(10)).await, begun.elapsed())
            });
        }
        let mut seen = Seen { times: Vec::new(), failed: 0, first: None };
        while let Some(one) = asked.join_next().await {
            let (answer, took) = one.unwrap();
            let expected = format!("fine {}", SECRET.len());
            if !matches!(&answer, Ok((200, body)) if *body == expected) {
                seen.failed += 1;
                seen.first.get_or_insert(format!("{answer:?}"));
            }
            seen.times.push(took);
        }
        seen.times.sort();
        seen
    }
}

impl Seen {
    pub fn quantile(&self, q: f64) -> Duration {
        let at = ((self.times.len() as f64 - 1.0) * q).round() as usize;
        self.times[at]
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |q| self.quantile(q).as_millis();
        write!(
            f,
            "{} requests, {} failed, p50 {} ms, p90 {} ms, p99 {} ms, worst {} ms",
            self.times.len(),
            self.failed,
            ms(0.5),
            ms(0.9),
            ms(0.99),
            ms(1.0)
        )?;
        match &self.first {
            Some(first) => write!(f, "; the first failure: {first}"),
            None => Ok(()),
        }
    }
}
