//! Limits on answers, so that nobody can be flooded with ours under a forged address.
//!
//! Answers over UDP to one network are counted by what they say. Over the limit, every second one is cut short: a real client asks again
//! over TCP, whose addresses cannot be forged, and the others are not sent.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use crate::respond::Class;

/// Counters; two networks that share one by chance share a limit.
const COUNTERS: usize = 1 << 16;
/// How many times the limit of one answer a network gets of all answers together.
const TOGETHER: u32 = 20;
/// Of the answers over the limit, one in this many is cut short and sent.
const SLIP: u32 = 2;
/// A network: what one customer of a provider has at most.
const PREFIX_V4: u32 = 24;
const PREFIX_V6: u32 = 56;

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Send,
    /// Cut short, to be asked for over TCP.
    Slip,
    Drop,
}

/// The counters of one thread.
pub struct Limiter {
    per_second: u32,
    keys: RandomState,
    began: Instant,
    counters: Box<[Counter]>,
}

#[derive(Clone, Copy, Default)]
struct Counter {
    second: u32,
    answers: u32,
}

impl Limiter {
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        Self {
            per_second: per_second.max(1),
            keys: RandomState::new(),
            began: Instant::now(),
            counters: vec![Counter::default(); COUNTERS].into(),
        }
    }

    /// Counts one answer.
    pub fn admit(&mut self, to: IpAddr, class: Class, now: Instant) -> Verdict {
        let second = u32::try_from(now.saturating_duration_since(self.began).as_secs()).unwrap_or(u32::MAX);
        let network = network(to);
        let what = match class {
            Class::Answer(what) => (0_u8, what),
            Class::Denial(what) => (1, what),
            Class::Error => (2, 0),
        };
        let one = self.count((network, Some(what)), second);
        let all = self.count((network, None), second);
        let over = one.checked_sub(self.per_second).or_else(|| all.checked_sub(self.per_second.saturating_mul(TOGETHER)));
        match over {
            None | Some(0) => Verdict::Send,
            Some(over) if over % SLIP == 0 => Verdict::Slip,
            Some(_) => Verdict::Drop,
        }
    }

    /// Answers of this second, with this one.
    fn count(&mut self, of: (u128, Option<(u8, u64)>), second: u32) -> u32 {
        let at = usize::try_from(self.keys.hash_one(of) % COUNTERS as u64).unwrap_or_default();
        let Some(counter) = self.counters.get_mut(at) else { return 0 };
        if counter.second != second {
            *counter = Counter { second, answers: 0 };
        }
        counter.answers = counter.answers.saturating_add(1);
        counter.answers
    }
}

fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(v4.to_bits() & (u32::MAX << (32 - PREFIX_V4))),
        IpAddr::V6(v6) => Ipv6Addr::to_bits(v6) & (u128::MAX << (128 - PREFIX_V6)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_answer_to_one_network_is_limited_and_others_are_not() {
        let mut limiter = Limiter::new(10);
        let now = limiter.began;
        let ask = |limiter: &mut Limiter, from: &str, what, now| limiter.admit(from.parse().unwrap(), what, now);
        let verdicts: Vec<Verdict> = (0..14).map(|i| ask(&mut limiter, &format!("192.0.2.{i}"), Class::Answer(1), now)).collect();
        assert!(verdicts[..10].iter().all(|v| *v == Verdict::Send), "{verdicts:?}");
        assert_eq!(verdicts[10..], [Verdict::Drop, Verdict::Slip, Verdict::Drop, Verdict::Slip]);
        assert_eq!(ask(&mut limiter, "192.0.2.1", Class::Answer(2), now), Verdict::Send);
        assert_eq!(ask(&mut limiter, "198.51.100.1", Class::Answer(1), now), Verdict::Send);
        assert_eq!(ask(&mut limiter, "192.0.2.1", Class::Answer(1), now + Duration::from_secs(1)), Verdict::Send);
    }

    #[test]
    fn many_different_answers_to_one_network_are_limited_too() {
        let mut limiter = Limiter::new(10);
        let now = limiter.began;
        let sent = (0..1_000).filter(|i| limiter.admit("2001:db8::1".parse().unwrap(), Class::Answer(*i), now) == Verdict::Send).count();
        assert!((150..=200).contains(&sent), "{sent}");
    }

    #[test]
    fn names_that_are_not_there_count_as_one() {
        let mut limiter = Limiter::new(5);
        let now = limiter.began;
        let sent = (0..20).filter(|_| limiter.admit("192.0.2.1".parse().unwrap(), Class::Denial(7), now) == Verdict::Send).count();
        assert_eq!(sent, 5);
    }
}
