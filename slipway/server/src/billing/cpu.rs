//! Which of an account's Workers took its process's time. The kernel counts for the whole process, and workerd says nothing.
//!
//! The time is divided as the time is during which requests of each were under way since the last look. What nobody visited meanwhile, such
//! as a cron trigger, stays with the account. INVARIANT (all-of-it): the parts are together what was measured.

use std::sync::Arc;

/// Milliseconds for each script; the empty name is the account itself.
#[must_use]
pub fn divided(ms: u64, flown: &[(Arc<str>, u64)]) -> Vec<(Arc<str>, u64)> {
    let all: u128 = flown.iter().map(|(_, us)| u128::from(*us)).sum();
    if all == 0 {
        return vec![(Arc::from(""), ms)];
    }
    let (mut parts, mut before, mut given) = (Vec::new(), 0_u128, 0_u64);
    for (script, us) in flown {
        before += u128::from(*us);
        // rounded where the parts meet, so that nothing is lost between them
        let until = u64::try_from(u128::from(ms) * before / all).unwrap_or(u64::MAX);
        parts.push((script.clone(), until - given));
        given = until;
    }
    parts.retain(|(_, ms)| *ms > 0);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(parts: &[(&str, u64)]) -> Vec<(Arc<str>, u64)> {
        parts.iter().map(|(script, n)| (Arc::from(*script), *n)).collect()
    }

    #[test]
    fn a_busy_scripts_time_is_not_its_neighbours_and_nothing_is_lost() {
        assert_eq!(divided(1_000, &named(&[("busy", 990_000), ("calm", 10_000), ("asleep", 0)])), named(&[("busy", 990), ("calm", 10)]));
        assert_eq!(divided(7, &named(&[])), named(&[("", 7)]));
        assert_eq!(divided(7, &named(&[("a", 0)])), named(&[("", 7)]));
        let many: Vec<(Arc<str>, u64)> = (0..97).map(|n| (Arc::from(format!("s{n}")), n * n + 1)).collect();
        assert_eq!(divided(1_009, &many).iter().map(|(_, ms)| ms).sum::<u64>(), 1_009);
    }
}
