//! A moment in time: whole microseconds since 1970-01-01T00:00:00Z.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Microseconds since the Unix epoch, UTC. Stored as a 64-bit integer, written as RFC 3339 with a `Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(i64);

/// A calendar month in UTC, the period of a cap: `2026-11`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    pub year: i16,
    pub month: i8,
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 time")]
pub struct ParseTimestampError(String);

impl Timestamp {
    pub const EPOCH: Self = Self(0);

    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1_000_000)))
    }

    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis.saturating_mul(1_000)))
    }

    /// Microseconds from `earlier` to `self`; negative when `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// For pages and mails: `2026-11-23 06:56:21 UTC`. Programs get the RFC 3339 form.
    #[must_use]
    pub fn for_people(self) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            Err(_) => self.to_string(),
        }
    }

    /// For columns, where seconds are noise: `2026-11-23 06:56 UTC`.
    #[must_use]
    pub fn to_the_minute(self) -> String {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => t.strftime("%Y-%m-%d %H:%M UTC").to_string(),
            Err(_) => self.to_string(),
        }
    }

    /// The calendar month in UTC that holds this moment.
    #[must_use]
    pub fn month(self) -> Month {
        let date = self.zoned().date();
        Month { year: date.year(), month: date.month() }
    }

    fn zoned(self) -> jiff::Zoned {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_zoned(jiff::tz::TimeZone::UTC)
    }

    /// The same moment a whole number of calendar months later; the last day of the month when the day does not exist.
    #[must_use]
    pub fn plus_months(self, months: i32) -> Self {
        use jiff::ToSpan as _;
        self.zoned().checked_add(months.months()).map_or(self, |z| Self(z.timestamp().as_microsecond()))
    }
}

impl Month {
    /// The first moment of the month.
    #[must_use]
    pub fn start(self) -> Timestamp {
        jiff::civil::date(self.year, self.month, 1)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .map_or(Timestamp::EPOCH, |z| Timestamp(z.timestamp().as_microsecond()))
    }

    /// The first moment after the month.
    #[must_use]
    pub fn end(self) -> Timestamp {
        self.start().plus_months(1)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a month such as `2026-11`")]
pub struct ParseMonthError(String);

impl FromStr for Month {
    type Err = ParseMonthError;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let bad = || ParseMonthError(s.chars().take(16).collect());
        let (year, month) = s.split_once('-').filter(|_| s.len() == 7 && s.is_ascii()).ok_or_else(bad)?;
        let digits = |text: &str, len| text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year, 4) || !digits(month, 2) {
            return Err(bad());
        }
        let month = month.parse().ok().filter(|m| (1..=12).contains(m)).ok_or_else(bad)?;
        // months before time began have no page to go back to
        let year = year.parse::<i16>().ok().filter(|year| *year >= 1970).ok_or_else(bad)?;
        Ok(Self { year, month })
    }
}
impl TryFrom<String> for Month {
    type Error = ParseMonthError;
    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}
impl From<Month> for String {
    fn from(m: Month) -> Self {
        m.to_string()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Takes any RFC 3339 offset; a time without an offset is refused.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        s.parse::<jiff::Timestamp>().map(|t| Self(t.as_microsecond())).map_err(|_| ParseTimestampError(s.to_owned()))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = ParseTimestampError;
    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}

impl From<Timestamp> for String {
    fn from(t: Timestamp) -> Self {
        t.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back_is_the_same_moment() {
        let t = Timestamp::from_micros(1_795_400_000_123_456);
        assert_eq!(t.to_string().parse::<Timestamp>().unwrap(), t);
        assert!(t.to_string().ends_with('Z'));
    }

    #[test]
    fn people_read_seconds_and_the_zone() {
        let t: Timestamp = "2026-11-23T07:56:21.766856+01:00".parse().unwrap();
        assert_eq!(t.for_people(), "2026-11-23 06:56:21 UTC");
        assert_eq!(t.to_the_minute(), "2026-11-23 06:56 UTC");
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        assert!("2026-11-23T10:00:00".parse::<Timestamp>().is_err());
    }

    #[test]
    fn a_month_runs_from_its_first_moment_to_the_next() {
        let t: Timestamp = "2026-12-31T23:59:59.999999Z".parse().unwrap();
        assert_eq!(t.month().to_string(), "2026-12");
        assert_eq!(t.month().start().to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(t.month().end().to_string(), "2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_month_is_read_as_it_is_written_and_in_no_other_form() {
        assert_eq!("2026-11".parse::<Month>().unwrap().to_string(), "2026-11");
        for bad in ["2026-13", "2026-00", "2026-1", "26-11", "2026-+1", "-026-11", "2026-11-01", ""] {
            assert!(bad.parse::<Month>().is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn a_month_later_than_the_31st_is_the_last_day() {
        let t: Timestamp = "2027-01-31T08:00:00Z".parse().unwrap();
        assert_eq!(t.plus_months(1).to_string(), "2027-02-28T08:00:00Z");
    }
}
