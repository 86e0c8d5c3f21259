//! The days of a month as bars, for eyes; the table beside it says the same in words.

use purser_spend::report::ReportRow;
use purser_values::{Currency, Money, Month, Timestamp};

/// One currency's month. Lengths are in the units of the drawing.
pub struct Picture {
    pub currency: Currency,
    pub total: Money,
    pub highest: Money,
    pub bars: Vec<Bar>,
    pub days: Vec<Day>,
}

pub struct Bar {
    pub x: usize,
    pub y: i64,
    pub height: i64,
    pub said: String,
}

pub struct Day {
    pub day: String,
    pub charges: i64,
    pub paid: Money,
}

/// Height of the highest bar, and the room of a day.
pub const HEIGHT: i64 = 100;
pub const STEP: usize = 20;

/// A picture for each currency that was paid in.
pub fn pictures(month: Month, rows: &[ReportRow]) -> Vec<Picture> {
    let mut currencies: Vec<Currency> = rows.iter().map(|row| row.paid.currency()).collect();
    currencies.sort_unstable();
    currencies.dedup();
    currencies.into_iter().map(|currency| picture(month, currency, rows)).collect()
}

fn picture(month: Month, currency: Currency, rows: &[ReportRow]) -> Picture {
    let own: Vec<&ReportRow> = rows.iter().filter(|row| row.paid.currency() == currency).collect();
    let highest = own.iter().map(|row| row.paid.minor()).max().unwrap_or(0).max(1);
    let bars = own.iter().map(|row| {
        let height = height(row.paid.minor(), highest);
        Bar { x: index(month, &row.key) * STEP, y: HEIGHT - height, height, said: format!("{}: {}", row.key, row.paid) }
    });
    let total = own.iter().map(|row| row.paid.minor()).fold(0_i64, i64::saturating_add);
    Picture {
        currency,
        total: Money::from_minor(total, currency),
        highest: Money::from_minor(highest, currency),
        bars: bars.collect(),
        days: own.iter().map(|row| Day { day: row.key.clone(), charges: row.charges, paid: row.paid }).collect(),
    }
}

/// Whole units, and at least one for what is more than nothing.
fn height(part: i64, highest: i64) -> i64 {
    if part <= 0 {
        return 0;
    }
    let scaled = i128::from(part) * i128::from(HEIGHT) / i128::from(highest);
    i64::try_from(scaled).unwrap_or(HEIGHT).clamp(1, HEIGHT)
}

/// Which day of the month, from 0.
fn index(month: Month, day: &str) -> usize {
    let start = format!("{day}T00:00:00Z").parse::<Timestamp>().map_or(0, |at| at.micros_since(month.start()));
    usize::try_from(start / (86_400 * 1_000_000)).unwrap_or(0).min(30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stand_on_their_days_and_the_highest_is_the_highest() {
        let usd = |minor| Money::from_minor(minor, Currency::USD);
        let row = |key: &str, minor| ReportRow { key: key.to_owned(), charges: 1, charged: usd(minor), refunded: usd(0), paid: usd(minor) };
        let rows = [row("2026-11-01", 1), row("2026-11-30", 10_00), row("2026-11-15", 5_00), row("2026-11-16", -1)];
        let picture = pictures("2026-11".parse().unwrap(), &rows).remove(0);
        let drawn: Vec<(usize, i64)> = picture.bars.iter().map(|bar| (bar.x, bar.height)).collect();
        assert_eq!(drawn, [(0, 1), (29 * STEP, HEIGHT), (14 * STEP, 50), (15 * STEP, 0)]);
        assert!(picture.bars.iter().all(|bar| bar.y + bar.height == HEIGHT));
    }
}
