//! The abuse desk: what strangers report, what detectors hold back, and what the operator stops.
//!
//! Names are judged before they are priced or given, and code before it is stored, so that nothing is served of what is refused. What a detector
//! is not sure of is held: it gets a reference, the operator looks, and a repeat passes once it is cleared. How good the detectors are is
//! in `docs/abuse.md`.

pub mod acts;
pub mod desk;
pub mod hosts;
pub mod incident;
pub mod judge;
pub mod report;
pub mod store;

use std::collections::HashSet;
use std::time::Duration;

use purser_guard::{Content, Names, Velocity};
use slipway_accounts::suspension::{accounts_of, suspensions};

use crate::billing::standing;
use crate::cloud::Shared;

/// How soon sites follow what the operator wrote into the database.
const FOLLOW: Duration = Duration::from_millis(500);

/// The detectors, made once.
#[derive(Debug, Default)]
pub struct Guard {
    pub names: Names,
    pub content: Content,
    pub velocity: Velocity,
}

impl Guard {
    /// As usual, with so many times the acts.
    #[must_use]
    pub fn at_pace(pace: u32) -> Self {
        Self { velocity: Velocity::times(pace), ..Self::default() }
    }
}

/// Takes sites off line and back as suspensions come and go. Tokens and orders need no following: they are looked up at each call.
/// Runs for ever; spawn it.
pub async fn follow(cloud: Shared) {
    let mut known: HashSet<String> = HashSet::new();
    let mut tick = tokio::time::interval(FOLLOW);
    loop {
        tick.tick().await;
        let all = match cloud.db.read(suspensions).await {
            Ok(all) => all,
            Err(e) => {
                tracing::error!(error = %e, "suspensions are not followed at present");
                continue;
            }
        };
        let active: HashSet<String> = all.iter().filter(|s| s.lifted_at.is_none()).map(|s| s.id.clone()).collect();
        let changed: Vec<_> = all.into_iter().filter(|s| known.contains(&s.id) != active.contains(&s.id)).collect();
        for changed in changed {
            let mark = changed.mark.clone();
            tracing::warn!(mark = %mark, suspended = changed.lifted_at.is_none(), "the operator's word is followed");
            let accounts = cloud.db.read(move |tx| accounts_of(tx, &mark)).await.unwrap_or_default();
            let mut followed = true;
            for account in accounts {
                if let Err(e) = standing::account(&cloud, &account).await {
                    tracing::error!(%account, error = %e, "an account's sites do not follow its suspension yet");
                    followed = false;
                }
            }
            // what was not followed is tried again with the next round
            match (followed, changed.lifted_at) {
                (true, None) => drop(known.insert(changed.id.clone())),
                (true, Some(_)) => drop(known.remove(&changed.id)),
                (false, _) => {}
            }
        }
    }
}
