//! Periods, counted from the first day.
//!
//! The rule of the 31st: the n-th period begins n months (or years) after the *first* day, not after the last period. What began on 31
//! January is due on 28 February and on 31 March again. All times are UTC.

use purser_values::Timestamp;

/// From when periods are counted, and how long they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    pub anchor: Timestamp,
    /// 1 or 12.
    pub months: i32,
}

/// One period: its first moment, and the first moment after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Calendar {
    /// The n-th period, from 0 on.
    #[must_use]
    pub fn period(self, number: i32) -> Period {
        let at = |n: i32| self.anchor.plus_months(self.months.saturating_mul(n));
        Period { start: at(number), end: at(number.saturating_add(1)) }
    }
}

impl Period {
    /// Its length in whole seconds.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.end.as_secs() - self.start.as_secs()
    }

    /// How much of it is left at a moment, in whole seconds.
    #[must_use]
    pub fn left(self, now: Timestamp) -> i64 {
        (self.end.as_secs() - now.as_secs()).clamp(0, self.seconds())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn what_begins_on_the_31st_ends_on_the_last_day_of_a_shorter_month() {
        let calendar = Calendar { anchor: at("2027-01-31T10:00:00Z"), months: 1 };
        let ends: Vec<String> = (0..5).map(|n| calendar.period(n).end.to_string()[..10].to_owned()).collect();
        assert_eq!(ends, ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30"]);
        let leap = Calendar { anchor: at("2028-02-29T00:00:00Z"), months: 12 };
        let ends: Vec<String> = (0..4).map(|n| leap.period(n).end.to_string()[..10].to_owned()).collect();
        assert_eq!(ends, ["2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]);
    }

    #[test]
    fn periods_leave_no_second_out_and_count_none_twice() {
        for day in ["2027-01-29", "2027-01-30", "2027-01-31", "2028-02-29", "2027-12-31"] {
            let calendar = Calendar { anchor: at(&format!("{day}T23:59:59Z")), months: 1 };
            for n in 0..40 {
                assert_eq!(calendar.period(n).end, calendar.period(n + 1).start);
                assert!(calendar.period(n).seconds() >= 28 * 86_400);
            }
        }
    }

    #[test]
    fn what_is_left_is_never_more_than_there_was() {
        let period = Calendar { anchor: at("2027-01-01T00:00:00Z"), months: 1 }.period(0);
        assert_eq!(period.left(at("2026-12-01T00:00:00Z")), period.seconds());
        assert_eq!(period.left(at("2027-01-31T23:59:59Z")), 1);
        assert_eq!(period.left(at("2027-03-01T00:00:00Z")), 0);
    }
}
