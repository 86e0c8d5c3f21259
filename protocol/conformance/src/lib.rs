//! A black-box tester for any provider URL: the checks of APP 0.1d that every known source agrees on (M), most agree on (S), or that
//! tell which dialect a provider speaks (I).
//!
//! It knows nothing about the provider but its address and the shared secret, makes accounts under addresses of its own, stays under
//! ten account requests that can succeed, and honours `Retry-After`.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod options;
pub mod report;
pub mod stub;

mod checks;
mod probe;
mod sample;
mod table;
mod world;

pub use options::{Attestor, Options, Payment};
pub use report::{Check, Level, Report, Verdict};
pub use stub::StubOrchestrator;

/// Runs every check against one provider.
pub async fn run(options: Options) -> Report {
    let (base_url, started_at) = (options.base_url.clone(), options.env.now());
    match world::World::start(options).await {
        Ok(mut world) => {
            checks::all(&mut world).await;
            world.report(base_url, started_at)
        }
        Err(why) => Report::unstarted(base_url, started_at, &why),
    }
}
