//! What a period comes to by its end.
//!
//! The method: what is spent; what is known to come again before the end (subscriptions, at the price they were charged last time);
//! and for what is bought once, the pace so far carried on. Of that pace, the time that went is taken to be at least a tenth of the
//! period, so that a first purchase does not look like one every minute. Whole numbers; a part of a unit counts as one.

use purser_values::Timestamp;

use crate::limits::PACE_PART;

/// A period under way.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub starts: Timestamp,
    pub ends: Timestamp,
    pub now: Timestamp,
    /// All that is spent, in minor units.
    pub spent: i64,
    /// That part of it that does not come again.
    pub once: i64,
    /// What comes again between now and the end.
    pub due: i64,
}

impl Pace {
    fn whole(&self) -> i128 {
        i128::from(self.ends.micros_since(self.starts)).max(1)
    }

    /// The time that went, and at least a tenth.
    fn gone(&self) -> i128 {
        i128::from(self.now.micros_since(self.starts)).max(self.whole() / i128::from(PACE_PART)).max(1)
    }

    /// Whether enough of the period is over to speak of a pace.
    #[must_use]
    pub fn is_told(&self) -> bool {
        i128::from(self.now.micros_since(self.starts)) * i128::from(PACE_PART) >= self.whole()
    }

    /// What is spent in 24 hours at the pace so far, rounded down.
    #[must_use]
    pub fn per_day(&self) -> i64 {
        const DAY: i128 = 86_400 * 1_000_000;
        fit(i128::from(self.spent) * DAY / self.gone())
    }
}

/// In minor units, see above.
#[must_use]
pub fn forecast(pace: &Pace) -> i64 {
    let left = i128::from(pace.ends.micros_since(pace.now)).max(0);
    let gone = pace.gone();
    let more = (i128::from(pace.once.max(0)) * left + gone - 1) / gone;
    fit(i128::from(pace.spent) + i128::from(pace.due) + more)
}

fn fit(number: i128) -> i64 {
    i64::try_from(number).unwrap_or(if number < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(n: i64) -> Timestamp {
        Timestamp::from_secs(n * 86_400)
    }

    fn pace(now: i64, once: i64, again: i64, due: i64) -> Pace {
        Pace { starts: day(0), ends: day(30), now: day(now), spent: once + again, once, due }
    }

    #[test]
    fn series_end_where_their_rule_says() {
        // (what it is, day, bought once, of subscriptions, due, what the month comes to)
        let table = [
            ("nothing", 15, 0, 0, 0, 0),
            ("one dollar a day", 10, 10_00, 0, 0, 30_00),
            ("one dollar a day, at the last moment", 30, 30_00, 0, 0, 30_00),
            ("a subscription that was charged is not a pace", 10, 0, 20_00, 0, 20_00),
            ("a subscription that is due counts once", 10, 0, 20_00, 5_00, 25_00),
            ("both", 15, 15_00, 20_00, 5_00, 55_00),
            ("all at once on the first day counts as three days' worth", 0, 3_00, 0, 0, 33_00),
            ("what was bought within the first tenth is spread over it", 1, 3_00, 0, 0, 32_00),
            ("a cent over a third is a whole cent", 29, 1, 0, 0, 2),
            ("money came back: less than nothing is no pace", 10, -5_00, 10_00, 0, 5_00),
        ];
        for (what, now, once, again, due, comes_to) in table {
            assert_eq!(forecast(&pace(now, once, again, due)), comes_to, "{what}");
        }
        assert_eq!(pace(10, 10_00, 0, 0).per_day(), 1_00);
        assert!(!pace(2, 1, 0, 0).is_told() && pace(3, 1, 0, 0).is_told());
    }

    #[test]
    fn a_steady_pace_is_foreseen_from_the_first_tenth_on() {
        for now in 3..=30 {
            assert_eq!(forecast(&pace(now, now * 7_00, 0, 0)), 210_00, "day {now}");
        }
    }

    proptest! {
        #[test]
        fn it_is_never_less_than_what_is_spent_and_due(now in 0_i64..=30, once in 0_i64..1_000_000_000_000, due in 0_i64..1_000_000) {
            let pace = pace(now, once, 0, due);
            prop_assert!(forecast(&pace) >= once + due);
            let dearer = Pace { once: once + 1, spent: once + 1, ..pace };
            prop_assert!(forecast(&dearer) >= forecast(&pace));
        }
    }
}
