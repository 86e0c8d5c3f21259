//! What Workers keep, as unmodified clients and real Workers see it: the `slipway` binary, both wranglers, the real workerd.

#[path = "../stores/durability.rs"]
mod durability;
#[path = "../stores/kv.rs"]
mod kv;
#[path = "../stores/queues.rs"]
mod queues;
#[path = "../stores/r2.rs"]
mod r2;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cloud::{self, Cloud, Customer, need, run, said};

/// A customer with a wrangler and a project folder.
struct Desk<'a> {
    cloud: &'a Cloud,
    customer: &'a Customer,
    wrangler: &'a Path,
    at: PathBuf,
}

impl Desk<'_> {
    /// Runs wrangler; what it says when it succeeds.
    async fn wrangler(&self, arguments: &[&str]) -> String {
        let output = run(self.wrangler, &self.at, self.cloud.folder.path(), arguments, &self.customer.variables, "").await;
        assert!(output.status.success(), "wrangler {arguments:?} failed:\n{}", said(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What it says when it must fail.
    async fn refused(&self, arguments: &[&str]) -> String {
        let output = run(self.wrangler, &self.at, self.cloud.folder.path(), arguments, &self.customer.variables, "").await;
        assert!(!output.status.success(), "wrangler {arguments:?} succeeded:\n{}", said(&output));
        said(&output)
    }

    /// The JSON that a Worker of this customer answers.
    async fn asked(&self, path: &str) -> Value {
        let (status, text) = self.cloud.visit(&self.customer.domain, path).await;
        assert_eq!(status, 200, "{path}: {text}\n{}", std::fs::read_to_string(self.cloud.folder.path().join("slipway.log")).unwrap());
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path} answered {text}"))
    }
}

/// Both wranglers, as far as they are here.
fn wranglers() -> Vec<(&'static str, PathBuf)> {
    [("new", "PURSER_WRANGLER_NEW"), ("old", "PURSER_WRANGLER_OLD")]
        .into_iter()
        .filter_map(|(name, var)| Some((name, need(var)?)))
        .collect()
}
