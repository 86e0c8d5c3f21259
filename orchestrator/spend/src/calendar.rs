//! The days, weeks and months that ceilings count in, in a zone of the organisation's choice.
//!
//! A period begins at the first moment of its first day in that zone, also where a clock change makes that day 23 or 25 hours
//! long. Weeks are those of ISO 8601: they begin on Monday.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use purser_db::DbError;
use purser_values::{Month, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a ceiling counts before it begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Each purchase by itself.
    Transaction,
    Day,
    Week,
    Month,
    /// For ever: it never begins anew.
    Lifetime,
}

/// A time zone by its IANA name.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    zone: TimeZone,
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a time zone that this machine knows")]
pub struct ParseZoneError(String);

/// One day, week or month; or all time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// `2026-11-23`, `2026-W48`, `2026-11` or `all`.
    pub name: String,
    /// Its first moment; absent for all time.
    pub starts: Option<Timestamp>,
    /// The first moment after it.
    pub ends: Option<Timestamp>,
}

impl Period {
    pub const ALL: [Self; 5] = [Self::Transaction, Self::Day, Self::Week, Self::Month, Self::Lifetime];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Lifetime => "lifetime",
        }
    }

    /// The span that holds the moment; `None` for what does not add up over time.
    ///
    /// # Errors
    /// When the moment is out of the calendar.
    pub fn span(self, at: Timestamp, zone: &Zone) -> Result<Option<Span>, DbError> {
        let moment = jiff::Timestamp::from_microsecond(at.as_micros()).map_err(beyond)?;
        let day = moment.to_zoned(zone.zone.clone()).date();
        let begin = |day: Result<Date, jiff::Error>| -> Result<Option<Timestamp>, DbError> {
            let begin = day.and_then(|day| day.to_zoned(zone.zone.clone())).map_err(beyond)?;
            Ok(Some(Timestamp::from_micros(begin.timestamp().as_microsecond())))
        };
        let named = |name: String, first: Result<Date, jiff::Error>, end: Result<Date, jiff::Error>| -> Result<Option<Span>, DbError> {
            Ok(Some(Span { name, starts: begin(first)?, ends: begin(end)? }))
        };
        match self {
            Self::Transaction => Ok(None),
            Self::Day => named(day.to_string(), Ok(day), day.checked_add(1.day())),
            Self::Week => {
                let week = day.iso_week_date();
                let since_monday = week.weekday().to_monday_zero_offset();
                let name = format!("{:04}-W{:02}", week.year(), week.week());
                let monday = day.checked_sub(i64::from(since_monday).days());
                named(name, monday, day.checked_add((7 - i64::from(since_monday)).days()))
            }
            Self::Month => {
                let first = day.first_of_month();
                named(format!("{:04}-{:02}", day.year(), day.month()), Ok(first), first.checked_add(1.month()))
            }
            Self::Lifetime => Ok(Some(Span { name: "all".to_owned(), starts: None, ends: None })),
        }
    }
}

/// The month that the moment belongs to in the zone.
///
/// # Errors
/// When the moment is out of the calendar.
pub fn month_of(at: Timestamp, zone: &Zone) -> Result<Month, DbError> {
    let name = Period::Month.span(at, zone)?.map(|span| span.name).unwrap_or_default();
    name.parse().map_err(|_| DbError::Other(format!("`{name}` is no month")))
}

/// The day that the moment belongs to in the zone, such as `2026-11-23`.
///
/// # Errors
/// When the moment is out of the calendar.
pub fn day_of(at: Timestamp, zone: &Zone) -> Result<String, DbError> {
    Ok(Period::Day.span(at, zone)?.map(|span| span.name).unwrap_or_default())
}

impl Zone {
    /// The first moment of the month here, and the first after it.
    ///
    /// # Errors
    /// When the month is out of the calendar.
    pub fn month(&self, month: Month) -> Result<(Timestamp, Timestamp), DbError> {
        let first: Date = format!("{month}-01").parse().map_err(beyond)?;
        Ok((self.begin(first)?, self.begin(first.checked_add(1.month()).map_err(beyond)?)?))
    }

    /// The same of a day such as `2026-11-23`; nothing for a text that is none.
    #[must_use]
    pub fn day(&self, text: &str) -> Option<(Timestamp, Timestamp)> {
        let day: Date = Some(text).filter(|text| text.len() == 10)?.parse().ok()?;
        Some((self.begin(day).ok()?, self.begin(day.checked_add(1.day()).ok()?).ok()?))
    }

    fn begin(&self, day: Date) -> Result<Timestamp, DbError> {
        let begin = day.to_zoned(self.zone.clone()).map_err(beyond)?;
        Ok(Timestamp::from_micros(begin.timestamp().as_microsecond()))
    }

    #[must_use]
    pub fn utc() -> Self {
        Self { name: "UTC".to_owned(), zone: TimeZone::UTC }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for Zone {
    type Err = ParseZoneError;
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name == "UTC" {
            return Ok(Self::utc());
        }
        let zone = TimeZone::get(name).map_err(|_| ParseZoneError(name.chars().take(64).collect()))?;
        let name = zone.iana_name().unwrap_or(name).to_owned();
        Ok(Self { name, zone })
    }
}

impl FromStr for Period {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|period| period.name() == s).ok_or_else(|| format!("`{s}` is not a period"))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn beyond(e: jiff::Error) -> DbError {
    DbError::Other(format!("a moment beyond the calendar: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(period: Period, at: &str, zone: &str) -> (String, String) {
        let span = period.span(at.parse().unwrap(), &zone.parse().unwrap()).unwrap().unwrap();
        (span.name, span.ends.map_or_else(String::new, |t| t.to_string()))
    }

    #[test]
    fn a_period_is_that_of_the_zone_and_ends_where_the_next_begins() {
        let table = [
            (Period::Day, "2026-11-23T23:30:00Z", "UTC", "2026-11-23", "2026-11-24T00:00:00Z"),
            (Period::Day, "2026-11-23T23:30:00Z", "Europe/Berlin", "2026-11-24", "2026-11-24T23:00:00Z"),
            // The day on which the clocks go forward has 23 hours.
            (Period::Day, "2026-03-29T12:00:00Z", "Europe/Berlin", "2026-03-29", "2026-03-29T22:00:00Z"),
            // The day on which they go back has 25.
            (Period::Day, "2026-10-25T12:00:00Z", "Europe/Berlin", "2026-10-25", "2026-10-25T23:00:00Z"),
            // In Beirut they go forward at midnight: that Sunday begins at one o'clock.
            (Period::Day, "2026-03-28T21:59:59Z", "Asia/Beirut", "2026-03-28", "2026-03-28T22:00:00Z"),
            (Period::Day, "2026-03-28T22:00:00Z", "Asia/Beirut", "2026-03-29", "2026-03-29T21:00:00Z"),
            (Period::Week, "2027-01-03T12:00:00Z", "UTC", "2026-W53", "2027-01-04T00:00:00Z"),
            (Period::Week, "2026-11-23T00:00:00Z", "UTC", "2026-W48", "2026-11-30T00:00:00Z"),
            (Period::Month, "2026-12-31T23:59:59.999999Z", "UTC", "2026-12", "2027-01-01T00:00:00Z"),
            (Period::Month, "2026-11-30T20:00:00Z", "Asia/Tokyo", "2026-12", "2026-12-31T15:00:00Z"),
            // Months of 28, 29 and 30 days, and those that are an hour shorter or longer than their days.
            (Period::Month, "2027-02-28T23:59:59Z", "UTC", "2027-02", "2027-03-01T00:00:00Z"),
            (Period::Month, "2028-02-29T05:00:00Z", "America/New_York", "2028-02", "2028-03-01T05:00:00Z"),
            (Period::Month, "2026-04-30T23:59:59Z", "UTC", "2026-04", "2026-05-01T00:00:00Z"),
            (Period::Month, "2026-03-01T00:00:00Z", "Europe/Berlin", "2026-03", "2026-03-31T22:00:00Z"),
            (Period::Month, "2026-10-01T00:00:00Z", "Europe/Berlin", "2026-10", "2026-10-31T23:00:00Z"),
            (Period::Lifetime, "2026-11-30T20:00:00Z", "UTC", "all", ""),
        ];
        for (period, at, zone, name, ends) in table {
            assert_eq!(span(period, at, zone), (name.to_owned(), ends.to_owned()), "{period} at {at} in {zone}");
        }
        assert!(Period::Transaction.span(Timestamp::EPOCH, &Zone::utc()).unwrap().is_none());
        // What begins at a span's first moment is in it, and what is just before is not.
        for period in [Period::Day, Period::Week, Period::Month] {
            let zone = "Europe/Berlin".parse().unwrap();
            let span = period.span("2026-03-29T12:00:00Z".parse().unwrap(), &zone).unwrap().unwrap();
            let starts = span.starts.unwrap();
            assert_eq!(period.span(starts, &zone).unwrap().unwrap(), span);
            assert_eq!(period.span(starts.plus_millis(-1), &zone).unwrap().unwrap().ends, Some(starts));
        }
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for bad in ["", "Mars/Olympus", "../../etc/passwd", "utc+25"] {
            assert!(bad.parse::<Zone>().is_err(), "`{bad}` was taken");
        }
    }
}
