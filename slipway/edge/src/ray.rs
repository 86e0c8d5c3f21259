//! Ray ids: sixteen hexadecimal digits by which a visitor, the access log and a Worker name the same request.
//!
//! They only have to differ. Where they begin is random, and a mixing function that maps no two numbers to one makes
//! neighbours look unlike; no call of the kernel is needed for each request.

use std::sync::atomic::{AtomicU64, Ordering};

use purser_values::env::Env;

/// The odd constant of splitmix64 (Steele, Lea, Flood 2014).
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

pub struct Rays(AtomicU64);

impl Rays {
    #[must_use]
    pub fn new(env: &Env) -> Self {
        Self(AtomicU64::new(u64::from_be_bytes(env.bytes())))
    }

    #[must_use]
    pub fn next(&self) -> String {
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        format!("{:016x}", z ^ (z >> 31))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_the_same_ray() {
        let rays = Rays::new(&Env::system());
        let seen: std::collections::HashSet<String> = (0..10_000).map(|_| rays.next()).collect();
        assert!(seen.len() == 10_000 && seen.iter().all(|ray| ray.len() == 16));
    }
}
