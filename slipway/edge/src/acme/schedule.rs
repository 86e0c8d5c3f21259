//! When to try again and when to renew. Pure.

use purser_values::{Env, Timestamp};

/// After the first failure. Each next one waits three times as long: five tries in the first hour, which is what large authorities allow.
const FIRST_RETRY_S: i64 = 30;
const LONGEST_RETRY_S: i64 = 12 * 3600;
/// A suspended site is looked at again after this long.
pub const SUSPENDED_S: i64 = 24 * 3600;
/// Names issued together are not renewed together: up to this part of the life earlier.
const SPREAD: i64 = 20;

/// How long to wait after so many failures in a row.
pub fn retry_after_s(failures: u32) -> i64 {
    3_i64
        .checked_pow(failures.saturating_sub(1))
        .and_then(|n| n.checked_mul(FIRST_RETRY_S))
        .map_or(LONGEST_RETRY_S, |s| s.min(LONGEST_RETRY_S))
}

/// When two thirds of a certificate's life are over, or a little earlier.
pub fn renew_at(not_before: Timestamp, not_after: Timestamp, env: &Env) -> Timestamp {
    let life = not_after.micros_since(not_before).max(0);
    let early = i64::from(u16::from_be_bytes(env.bytes())) * (life / SPREAD) / i64::from(u16::MAX);
    Timestamp::from_micros(not_before.as_micros() + life / 3 * 2 - early)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_followed_by_longer_and_longer_pauses_up_to_half_a_day() {
        assert_eq!([1, 2, 3, 4].map(retry_after_s), [30, 90, 270, 810]);
        assert_eq!((retry_after_s(9), retry_after_s(u32::MAX)), (LONGEST_RETRY_S, LONGEST_RETRY_S));
    }

    #[test]
    fn a_certificate_is_renewed_before_two_thirds_of_its_life_and_not_long_before() {
        let (env, _) = Env::test(Timestamp::from_secs(1), 7);
        let (from, to) = (Timestamp::from_secs(1_000_000), Timestamp::from_secs(1_000_000 + 90 * 86_400));
        for _ in 0..200 {
            let day = renew_at(from, to, &env).micros_since(from) / 86_400_000_000;
            assert!((55..=60).contains(&day), "day {day}");
        }
    }
}
