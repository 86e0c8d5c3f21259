//! A store in memory: for tests, and for providers whose accounts may be asked for again after a restart.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use purser_values::{Sha256Digest, Timestamp};
use purser_wire::control::ControlOrder;
use purser_wire::id::{AccountId, LinkId};

use super::{Access, Begun, CodeRecord, Exchange, KeptAnswer, PairRecord, Store, StoreError};

/// Nonces are swept when this many have been added since the last time.
const SWEEP_EVERY: usize = 4096;
/// How long a kept answer lives, in seconds.
const ANSWER_LIFE_S: i64 = 24 * 3600;

#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    nonces: HashMap<Sha256Digest, Timestamp>,
    nonces_since_sweep: usize,
    codes: HashMap<Sha256Digest, Code>,
    pairs: Vec<Pair>,
    answers: HashMap<(AccountId, String), Answer>,
    controls: HashMap<(AccountId, String), ControlOrder>,
}

#[derive(Debug)]
struct Code {
    record: CodeRecord,
    used: bool,
}

#[derive(Debug)]
struct Pair {
    access: Access,
    record: PairRecord,
    /// The code that bought this pair or the pair that it was refreshed from.
    family: Option<Sha256Digest>,
}

#[derive(Debug)]
struct Answer {
    request: Sha256Digest,
    begun_at: Timestamp,
    kept: Option<KeptAnswer>,
}

impl MemoryStore {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    async fn nonce_use(&self, nonce: Sha256Digest, expires_at: Timestamp, now: Timestamp) -> Result<bool, StoreError> {
        let state = &mut *self.state();
        state.nonces_since_sweep += 1;
        if state.nonces_since_sweep >= SWEEP_EVERY {
            state.nonces.retain(|_, expires_at| *expires_at > now);
            state.nonces_since_sweep = 0;
        }
        Ok(state.nonces.insert(nonce, expires_at).is_none_or(|earlier| earlier <= now))
    }

    async fn code_put(&self, code: Sha256Digest, record: CodeRecord) -> Result<(), StoreError> {
        self.state().codes.insert(code, Code { record, used: false });
        Ok(())
    }

    async fn code_find(&self, code: Sha256Digest) -> Result<Option<CodeRecord>, StoreError> {
        Ok(self.state().codes.get(&code).map(|c| c.record.clone()))
    }

    async fn code_exchange(&self, code: Sha256Digest, pair: PairRecord, now: Timestamp) -> Result<Exchange, StoreError> {
        let state = &mut *self.state();
        let Some(found) = state.codes.get_mut(&code) else { return Ok(Exchange::Refused) };
        if found.used {
            state.pairs.retain(|pair| pair.family != Some(code));
            return Ok(Exchange::Refused);
        }
        if found.record.expires_at <= now {
            return Ok(Exchange::Refused);
        }
        found.used = true;
        let access = Access { link: found.record.link.clone(), ..Access::whole(found.record.account.clone()) };
        state.pairs.push(Pair { access: access.clone(), record: pair, family: Some(code) });
        Ok(Exchange::Done(access))
    }

    async fn pair_put(&self, account: AccountId, link: Option<LinkId>, pair: PairRecord) -> Result<(), StoreError> {
        let access = Access { link, ..Access::whole(account) };
        self.state().pairs.push(Pair { access, record: pair, family: None });
        Ok(())
    }

    async fn pair_rotate(&self, refresh: Sha256Digest, pair: PairRecord, now: Timestamp) -> Result<Option<Access>, StoreError> {
        let state = &mut *self.state();
        let living = state.pairs.iter_mut().find(|p| p.record.refresh == refresh && p.record.refresh_expires_at > now);
        Ok(living.map(|found| {
            found.record = pair;
            found.access.clone()
        }))
    }

    async fn access_find(&self, access: Sha256Digest, now: Timestamp) -> Result<Option<Access>, StoreError> {
        let state = self.state();
        let living = state.pairs.iter().find(|p| p.record.access == access && p.record.access_expires_at > now);
        Ok(living.map(|found| found.access.clone()))
    }

    async fn answer_begin(&self, scope: AccountId, key: String, request: Sha256Digest, now: Timestamp) -> Result<Begun, StoreError> {
        let state = &mut *self.state();
        let slot = (scope, key);
        match state.answers.get(&slot) {
            Some(answer) if answer.begun_at.plus_secs(ANSWER_LIFE_S) > now => Ok(match &answer.kept {
                _ if answer.request != request => Begun::Conflict,
                Some(kept) => Begun::Finished(kept.clone()),
                None => Begun::Unfinished,
            }),
            _ => {
                state.answers.insert(slot, Answer { request, begun_at: now, kept: None });
                Ok(Begun::New)
            }
        }
    }

    async fn answer_finish(&self, scope: AccountId, key: String, answer: KeptAnswer) -> Result<(), StoreError> {
        if let Some(found) = self.state().answers.get_mut(&(scope, key)) {
            found.kept = Some(answer);
        }
        Ok(())
    }

    async fn control_begin(&self, account: AccountId, subject: String, order: ControlOrder) -> Result<Option<ControlOrder>, StoreError> {
        let state = &mut *self.state();
        let highest = state.controls.entry((account, subject)).or_insert(order);
        if *highest > order {
            return Ok(Some(*highest));
        }
        *highest = order;
        Ok(None)
    }
}
