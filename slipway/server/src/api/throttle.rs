//! How fast the API may be called: a bucket for each token, and one for all tokens of an account, for tokens make tokens.
//!
//! A bucket holds what may be called at once and fills up again within [`WINDOW_S`]. The limit is about load and not about money: it is in
//! memory, a restart forgets it, and each process counts for itself. Only valid tokens are counted here; whoever has none is the business of
//! the listener.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use purser_values::Timestamp;
use purser_values::id::{CloudAccountId, CloudResourceId};
use slipway_accounts::token::ApiToken;

use super::envelope::Failure;
use crate::abuse::incident::{API_RATE, Seen};

/// Calls of one token in [`WINDOW_S`], as the contract has it, and those of all tokens of an account.
const CALLS_OF_TOKEN: u32 = 1_200;
const CALLS_OF_ACCOUNT: u32 = 4 * CALLS_OF_TOKEN;
/// Changes of zones by one account in [`WINDOW_S`]; one can be of thousands of records.
const ZONE_CHANGES: u32 = 600;
const WINDOW_S: u32 = 300;
/// Buckets from which on those that are full are forgotten.
const BUCKETS: usize = 20_000;

/// The buckets of this process.
#[derive(Debug)]
pub struct Throttle {
    /// How many times the usual.
    pace: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
    refused: Mutex<HashMap<CloudAccountId, Refused>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    calls: f64,
    since: Timestamp,
}

#[derive(Debug)]
struct Refused {
    resource: CloudResourceId,
    last_at: Timestamp,
    times: u64,
}

impl Throttle {
    #[must_use]
    pub fn new(pace: u32) -> Self {
        Self { pace: pace.max(1), buckets: Mutex::default(), refused: Mutex::default() }
    }

    /// Counts one call.
    ///
    /// # Errors
    /// When the token, or its account, called too often.
    pub fn pass(&self, token: &ApiToken, now: Timestamp) -> Result<(), Failure> {
        self.take(token, &[(token.id.as_str(), CALLS_OF_TOKEN), (token.account.as_str(), CALLS_OF_ACCOUNT)], now)
    }

    /// Counts one change of a zone, for which the whole zone is made ready anew.
    ///
    /// # Errors
    /// When the account changes its zones too often.
    pub fn zone_change(&self, token: &ApiToken, now: Timestamp) -> Result<(), Failure> {
        self.take(token, &[(&format!("zones of {}", token.account), ZONE_CHANGES)], now)
    }

    /// Takes one of each bucket, or none.
    fn take(&self, token: &ApiToken, kinds: &[(&str, u32)], now: Timestamp) -> Result<(), Failure> {
        let mut buckets = locked(&self.buckets);
        if buckets.len() >= BUCKETS {
            buckets.retain(|_, bucket| now.as_micros() - bucket.since.as_micros() < i64::from(WINDOW_S) * 1_000_000);
        }
        let mut wait_s = 0.0_f64;
        for (key, calls) in kinds {
            let (most, each_s) = self.rate(*calls);
            let bucket = buckets.entry((*key).to_owned()).or_insert(Bucket { calls: most, since: now });
            // a clock that was set back gives nothing; what a float cannot tell apart is less than a call
            #[allow(clippy::cast_precision_loss)]
            let gone_s = (now.as_micros() - bucket.since.as_micros()).max(0) as f64 / 1e6;
            *bucket = Bucket { calls: (bucket.calls + gone_s * each_s).min(most), since: now.max(bucket.since) };
            wait_s = wait_s.max((1.0 - bucket.calls) / each_s);
        }
        if wait_s > 0.0 {
            drop(buckets);
            self.note(token, now);
            // at least one second, at most the window: no fraction is lost and nothing overflows
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let wait_s = wait_s.ceil().clamp(1.0, f64::from(WINDOW_S)) as u32;
            return Err(Failure::too_fast(wait_s));
        }
        for (key, _) in kinds {
            if let Some(bucket) = buckets.get_mut(*key) {
                bucket.calls -= 1.0;
            }
        }
        Ok(())
    }

    /// What was refused since it was last asked, for the operator.
    pub fn refused(&self) -> Vec<Seen> {
        let seen = |(account, refused): (CloudAccountId, Refused)| Seen {
            account,
            script: None,
            resource: Some(refused.resource.to_string()),
            kind: API_RATE.to_owned(),
            detail: "the API was called too often".to_owned(),
            at: refused.last_at,
            count: refused.times,
        };
        std::mem::take(&mut *locked(&self.refused)).into_iter().map(seen).collect()
    }

    /// The most at once, and how much a second gives.
    fn rate(&self, calls: u32) -> (f64, f64) {
        let most = f64::from(calls) * f64::from(self.pace);
        (most, most / f64::from(WINDOW_S))
    }

    fn note(&self, token: &ApiToken, now: Timestamp) {
        let mut refused = locked(&self.refused);
        let one =
            refused.entry(token.account.clone()).or_insert_with(|| Refused { resource: token.resource.clone(), last_at: now, times: 0 });
        (one.last_at, one.times) = (now, one.times + 1);
    }
}

/// What is held is whole at every moment, so what a panic left behind is good.
fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use purser_values::Env;
    use slipway_accounts::token::Permissions;

    use super::*;

    fn token(env: &Env, id: &str, account: &CloudAccountId) -> ApiToken {
        let (account, resource) = (account.clone(), CloudResourceId::mint(env));
        ApiToken { id: id.into(), account, agent: None, environment: None, resource, permissions: Permissions::ALL, prefix: String::new() }
    }

    #[test]
    fn a_token_calls_as_often_as_it_may_and_again_when_its_bucket_fills() {
        let (env, _) = Env::test(Timestamp::from_secs(1_000), 1);
        let (throttle, now, account) = (Throttle::new(1), env.now(), CloudAccountId::mint(&env));
        let (one, other) = (token(&env, "one", &account), token(&env, "other", &account));
        let passed = (0..CALLS_OF_TOKEN + 50).filter(|_| throttle.pass(&one, now).is_ok()).count();
        assert_eq!(passed, CALLS_OF_TOKEN as usize);
        let refused = throttle.pass(&one, now).unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code, refused.retry_after), (429, 971, Some(1)));
        assert!(throttle.pass(&other, now).is_ok(), "another token of the account pays for it");
        assert!(throttle.pass(&one, now.plus_secs(1)).is_ok() && throttle.pass(&one, now.plus_secs(-60)).is_ok());
        let changes = (0..ZONE_CHANGES + 9).filter(|_| throttle.zone_change(&other, now).is_ok()).count();
        assert_eq!(changes, ZONE_CHANGES as usize);
        let seen = throttle.refused();
        assert_eq!((seen.len(), seen[0].count, throttle.refused().len()), (1, 60, 0));
    }

    #[test]
    fn tokens_that_tokens_make_share_what_the_account_has() {
        let (env, _) = Env::test(Timestamp::from_secs(1_000), 1);
        let (throttle, now, account) = (Throttle::new(1), env.now(), CloudAccountId::mint(&env));
        let tokens: Vec<ApiToken> = (0..10).map(|i| token(&env, &format!("t{i}"), &account)).collect();
        let passed: usize = tokens.iter().map(|t| (0..CALLS_OF_TOKEN).filter(|_| throttle.pass(t, now).is_ok()).count()).sum();
        assert_eq!(passed, CALLS_OF_ACCOUNT as usize);
        assert!(throttle.pass(&token(&env, "x", &CloudAccountId::mint(&env)), now).is_ok());
    }
}
