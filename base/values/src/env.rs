//! Where time and randomness come from.
//!
//! Every use case takes an [`Env`] instead of reading the clock or the random device from the air, so that a
//! test can move time and repeat a run. The system environment uses the wall clock and the operating system's
//! generator; the test environment uses a clock that only moves when told to and a seeded generator.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::timestamp::Timestamp;

/// A source of the current time.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// A source of unpredictable bytes.
pub trait Entropy: Send + Sync {
    fn fill(&self, out: &mut [u8]);
}

/// The clock and the randomness of one process, cheap to clone.
#[derive(Clone)]
pub struct Env {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Env {
    /// The wall clock and the operating system's random generator.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy) }
    }

    /// A movable clock that starts at `start` and a generator seeded with `seed`. For tests only.
    #[must_use]
    pub fn test(start: Timestamp, seed: u64) -> (Self, Arc<TestClock>) {
        let clock = Arc::new(TestClock { now: AtomicI64::new(start.as_micros()), step: AtomicI64::new(0) });
        let entropy = Arc::new(SeededEntropy(AtomicU64::new(seed)));
        (Self { clock: clock.clone(), entropy }, clock)
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The same with the clock stopped at this moment: for a use case that looks at the time more than once and must not see a month
    /// begin between two looks.
    #[must_use]
    pub fn still(&self) -> Self {
        Self { clock: Arc::new(StoppedClock(self.now())), entropy: self.entropy.clone() }
    }

    pub fn fill(&self, out: &mut [u8]) {
        self.entropy.fill(out);
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0_u8; N];
        self.fill(&mut out);
        out
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env")
    }
}

struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}

struct StoppedClock(Timestamp);

impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}

struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the operating system for random bytes")]
    #[allow(clippy::expect_used, reason = "a process without a random generator must not go on")]
    fn fill(&self, out: &mut [u8]) {
        // Straight from the kernel: the cryptographic library's own generator takes about 20 ms to seed, in every process, and a
        // command line is a new process each time.
        if out.len() > SHORT || POOL.try_with(|pool| pool.borrow_mut().fill(out)).is_err() {
            getrandom::fill(out).expect("the operating system must give random bytes");
        }
    }
}

/// Longest draw that comes from the pool: that of an id. Keys are drawn from the kernel each by itself.
const SHORT: usize = 16;

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 512], used: 512 }) };
}

/// Bytes of the kernel that wait for the next ids of this thread: a call of the kernel for each id is what minting one costs.
struct Pool {
    bytes: [u8; 512],
    used: usize,
}

impl Pool {
    #[allow(clippy::disallowed_methods, reason = "beside the one place that asks the operating system for random bytes")]
    #[allow(clippy::expect_used, reason = "a process without a random generator must not go on")]
    fn fill(&mut self, out: &mut [u8]) {
        if self.used + out.len() > self.bytes.len() {
            getrandom::fill(&mut self.bytes).expect("the operating system must give random bytes");
            self.used = 0;
        }
        let taken = &mut self.bytes[self.used..self.used + out.len()];
        out.copy_from_slice(taken);
        // Nothing is handed out twice, nor left behind in memory.
        taken.fill(0);
        self.used += out.len();
    }
}

/// A clock that stands still until it is moved.
pub struct TestClock {
    now: AtomicI64,
    step: AtomicI64,
}

impl TestClock {
    pub fn advance_micros(&self, micros: i64) {
        self.now.fetch_add(micros, Ordering::SeqCst);
    }

    /// From now on every look at the clock is later by so much than the one before.
    pub fn run(&self, micros_a_look: i64) {
        self.step.store(micros_a_look, Ordering::SeqCst);
    }

    pub fn advance_secs(&self, secs: i64) {
        self.advance_micros(secs * 1_000_000);
    }

    pub fn set(&self, to: Timestamp) {
        self.now.store(to.as_micros(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.now.fetch_add(self.step.load(Ordering::SeqCst), Ordering::SeqCst))
    }
}

/// SplitMix64: repeatable and well spread, not secret.
struct SeededEntropy(AtomicU64);

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_random_is_handed_out_twice() {
        let env = Env::system();
        let all: std::collections::BTreeSet<[u8; 16]> = (0..2_000).map(|_| env.bytes::<16>()).collect();
        assert_eq!(all.len(), 2_000);
        assert!(all.iter().all(|bytes| *bytes != [0; 16]));
        let odd: std::collections::BTreeSet<[u8; 11]> = (0..500).map(|_| env.bytes::<11>()).collect();
        assert_eq!(odd.len(), 500);
    }

    #[test]
    fn a_test_environment_repeats_itself() {
        let (a, _) = Env::test(Timestamp::EPOCH, 7);
        let (b, _) = Env::test(Timestamp::EPOCH, 7);
        assert_eq!(a.bytes::<20>(), b.bytes::<20>());
        assert_ne!(a.bytes::<20>(), a.bytes::<20>());
    }

    #[test]
    fn a_test_clock_moves_only_when_told() {
        let (env, clock) = Env::test(Timestamp::EPOCH, 1);
        assert_eq!(env.now(), Timestamp::EPOCH);
        let still = env.still();
        clock.advance_secs(3);
        assert_eq!(env.now().as_micros(), 3_000_000);
        assert_eq!(still.now(), Timestamp::EPOCH);
    }
}
