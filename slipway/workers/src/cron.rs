//! Cron triggers in Cloudflare's dialect: five fields in UTC, Sunday is 1, names of months and days, `L`, `W` and `#`.
//!
//! Where both the day of the month and the day of the week are named, either is enough.

use std::fmt;
use std::str::FromStr;

use purser_values::Timestamp;

const MINUTE_US: i64 = 60_000_000;
const MINUTES_A_DAY: i64 = 24 * 60;
/// How far ahead a match is looked for, in days: 29 February comes again within eight years.
const HORIZON_DAYS: i64 = 9 * 366;
const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// Longest text.
const BYTES: usize = 200;

/// A trigger that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    minutes: u64,
    hours: u64,
    months: u64,
    days: Option<Vec<Day>>,
    weekdays: Option<Vec<Weekday>>,
}

/// A day of the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    On(u32),
    /// So many days before the last.
    Last(u32),
    /// The weekday (Monday to Friday) nearest to this day, within the month.
    Near(u32),
    LastWeekday,
}

/// A day of the week, 1 to 7 from Sunday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weekday {
    On(u32),
    Last(u32),
    Nth(u32, u32),
}

/// The text is no cron trigger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a cron trigger: it takes minute, hour, day of the month, month and day of the week (1 is Sunday)")]
pub struct ParseCronError(String);

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Cron {
    type Err = ParseCronError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        parse(s).ok_or_else(|| ParseCronError(s.chars().take(64).collect()))
    }
}

fn parse(s: &str) -> Option<Cron> {
    let fields: Vec<&str> = s.split_ascii_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else { return None };
    if s.len() > BYTES {
        return None;
    }
    let cron = Cron {
        text: s.to_owned(),
        minutes: mask(minute, 0, 59, &[])?,
        hours: mask(hour, 0, 23, &[])?,
        months: mask(month, 1, 12, &MONTHS)?,
        days: if any(day) { None } else { Some(days(day)?) },
        weekdays: if any(weekday) { None } else { Some(weekdays(weekday)?) },
    };
    // What never comes, like 31 February, is a mistake.
    cron.after(Timestamp::EPOCH)?;
    Some(cron)
}

fn any(field: &str) -> bool {
    matches!(field, "*" | "?")
}

fn mask(field: &str, least: u32, most: u32, names: &[&str]) -> Option<u64> {
    field.split(',').try_fold(0_u64, |all, part| {
        let mut bits = 0;
        range(part, least, most, names)?.for_each(|n| bits |= 1 << n);
        Some(all | bits)
    })
}

/// `*`, `5`, `1-5`, `*/10`, `5/10`, `1-30/2`.
fn range(part: &str, least: u32, most: u32, names: &[&str]) -> Option<impl Iterator<Item = u32> + use<>> {
    let (span, step) = match part.split_once('/') {
        Some((span, step)) => (span, Some(number(step)?)),
        None => (part, None),
    };
    let value = |text: &str| {
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name)).and_then(|at| u32::try_from(at).ok());
        let n = named.map_or_else(|| number(text), |at| Some(at + least))?;
        (least..=most).contains(&n).then_some(n)
    };
    let (from, to) = match span.split_once('-') {
        _ if span == "*" => (least, most),
        Some((from, to)) => (value(from)?, value(to)?),
        None if step.is_some() => (value(span)?, most),
        None => (value(span)?, value(span)?),
    };
    let step = usize::try_from(step.unwrap_or(1)).ok().filter(|step| *step > 0)?;
    (from <= to).then(|| (from..=to).step_by(step))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn days(field: &str) -> Option<Vec<Day>> {
    let mut days = Vec::new();
    for part in field.split(',') {
        let upper = part.to_ascii_uppercase();
        let within = |n: u32| (1..=31).contains(&n).then_some(n);
        match upper.as_str() {
            "L" => days.push(Day::Last(0)),
            "LW" | "WL" => days.push(Day::LastWeekday),
            other => match (other.strip_prefix("L-"), other.strip_suffix('W')) {
                (Some(before), _) => days.push(Day::Last(number(before).filter(|n| *n <= 30)?)),
                (_, Some(near)) => days.push(Day::Near(within(number(near)?)?)),
                _ => days.extend(range(part, 1, 31, &[])?.map(Day::On)),
            },
        }
    }
    Some(days)
}

fn weekdays(field: &str) -> Option<Vec<Weekday>> {
    let mut days = Vec::new();
    for part in field.split(',') {
        let one = |text: &str| range(text, 1, 7, &DAYS)?.next();
        if let Some((day, nth)) = part.split_once('#') {
            days.push(Weekday::Nth(one(day)?, number(nth).filter(|n| (1..=5).contains(n))?));
        } else if part.eq_ignore_ascii_case("L") {
            days.push(Weekday::On(7));
        } else if let Some(day) = part.strip_suffix(['L', 'l']).filter(|day| !day.is_empty()) {
            days.push(Weekday::Last(one(day)?));
        } else {
            days.extend(range(part, 1, 7, &DAYS)?.map(Weekday::On));
        }
    }
    Some(days)
}

impl Cron {
    /// The first minute after `at` at which it is due.
    #[must_use]
    pub fn after(&self, at: Timestamp) -> Option<Timestamp> {
        let minute = at.micros_since(Timestamp::EPOCH).div_euclid(MINUTE_US) + 1;
        let first = minute.div_euclid(MINUTES_A_DAY);
        for day in first..first + HORIZON_DAYS {
            if !self.on(day) {
                continue;
            }
            let from = if day == first { minute.rem_euclid(MINUTES_A_DAY) } else { 0 };
            let due = |m: &i64| self.hours >> (m / 60) & 1 == 1 && self.minutes >> (m % 60) & 1 == 1;
            if let Some(m) = (from..MINUTES_A_DAY).find(due) {
                return Some(Timestamp::from_micros((day * MINUTES_A_DAY + m) * MINUTE_US));
            }
        }
        None
    }

    /// Whether it is due on a day, counted from 1 January 1970.
    fn on(&self, number: i64) -> bool {
        let date = Date::of(number);
        if self.months >> date.month & 1 == 0 {
            return false;
        }
        let day = self.days.as_ref().map(|days| days.iter().any(|day| day.is(&date)));
        let weekday = self.weekdays.as_ref().map(|days| days.iter().any(|day| day.is(&date)));
        match (day, weekday) {
            (None, None) => true,
            (Some(found), None) | (None, Some(found)) => found,
            (Some(day), Some(weekday)) => day || weekday,
        }
    }
}

/// A day of the calendar, with its day of the week from 1 (Sunday) and the length of its month.
struct Date {
    day: u32,
    month: u32,
    weekday: u32,
    length: u32,
}

impl Date {
    /// Days to dates by the era of 400 years (Hinnant, "chrono-compatible low-level date algorithms").
    fn of(number: i64) -> Self {
        let z = number + 719_468;
        let (era, doe) = (z.div_euclid(146_097), z.rem_euclid(146_097));
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let length = match month {
            2 => 28 + u32::from(leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let small = |n: i64| u32::try_from(n).unwrap_or(0);
        // 1 January 1970 was a Thursday, the fifth day.
        Self { day: small(day), month: small(month), weekday: small((number + 4).rem_euclid(7)) + 1, length }
    }

    /// The day of the week of another day of this month.
    fn weekday_of(&self, day: u32) -> u32 {
        (self.weekday + 6 + 35 + day - self.day) % 7 + 1
    }

    fn is_working(&self, day: u32) -> bool {
        (2..=6).contains(&self.weekday_of(day))
    }
}

impl Day {
    fn is(self, date: &Date) -> bool {
        match self {
            Self::On(day) => date.day == day,
            Self::Last(before) => date.day + before == date.length,
            Self::LastWeekday => (1..=date.length).rev().find(|day| date.is_working(*day)) == Some(date.day),
            Self::Near(day) if day > date.length => false,
            Self::Near(day) => {
                let near = [day, day.wrapping_sub(1), day + 1, day.wrapping_sub(2), day + 2];
                near.into_iter().find(|d| (1..=date.length).contains(d) && date.is_working(*d)) == Some(date.day)
            }
        }
    }
}

impl Weekday {
    fn is(self, date: &Date) -> bool {
        match self {
            Self::On(day) => date.weekday == day,
            Self::Last(day) => date.weekday == day && date.day + 7 > date.length,
            Self::Nth(day, nth) => date.weekday == day && (date.day - 1) / 7 + 1 == nth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(cron: &str, after: &str) -> String {
        let cron: Cron = cron.parse().unwrap();
        let text = cron.after(after.parse().unwrap()).unwrap().to_string();
        text.get(..16).unwrap().to_owned()
    }

    #[test]
    fn the_next_time_is_the_one_that_the_calendar_says() {
        // 23 November 2026 is a Monday.
        let now = "2026-11-23T20:05:30Z";
        for (cron, expected) in [
            ("* * * * *", "2026-11-23T20:06"),
            ("*/30 * * * *", "2026-11-23T20:30"),
            ("5 20 * * *", "2026-11-24T20:05"),
            ("0 17 * * sun", "2026-11-29T17:00"),
            ("0 17 * * 1", "2026-11-29T17:00"),
            ("10 7 * * mon-fri", "2026-11-24T07:10"),
            ("0 15 1 * *", "2026-12-01T15:00"),
            ("0 15 L * *", "2026-11-30T15:00"),
            ("59 23 LW * *", "2026-11-30T23:59"),
            ("0 0 1W 8 *", "2027-08-02T00:00"),
            ("0 18 * * 6L", "2026-11-27T18:00"),
            ("0 9 * * 3#2", "2026-12-08T09:00"),
            ("0 0 29 2 *", "2028-02-29T00:00"),
            ("0 0 25 12 fri", "2026-12-04T00:00"),
        ] {
            assert_eq!(next(cron, now), expected, "{cron}");
        }
    }

    #[test]
    fn what_is_no_trigger_or_never_comes_is_refused() {
        for bad in
            ["", "* * * *", "60 * * * *", "* * * * 0", "* * * * 8", "*/0 * * * *", "5-1 * * * *", "0 0 31 2 *", "a * * * *", "0 0 L-31 * *"]
        {
            assert!(bad.parse::<Cron>().is_err(), "`{bad}` was taken");
        }
    }
}
