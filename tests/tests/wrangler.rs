//! The unmodified clients of the Cloudflare API against the `slipway` binary and the real workerd: the current wrangler and the last
//! one for Node 20, each with the token that `workers` delivers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "wrangler/cloud.rs"]
mod cloud;
#[path = "wrangler/lane.rs"]
mod lane;
#[path = "wrangler/outcome.rs"]
mod outcome;
#[path = "wrangler/rows.rs"]
mod rows;
#[path = "wrangler/sdk.rs"]
mod sdk;
#[path = "wrangler/stores.rs"]
mod stores;
#[path = "wrangler/story.rs"]
mod story;
#[path = "wrangler/table.rs"]
mod table;
