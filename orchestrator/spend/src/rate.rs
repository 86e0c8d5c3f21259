//! Stated rates: how a purchase in one currency counts against a ceiling in another.
//!
//! A rate is an exact ratio with a source, a time and a deviation that it is never passed by. What counts is the upper bound, `rate × (1 +
//! deviation)`, rounded up for each line of a quote: of the hold and, by the same kept rate, of the charge. So a ceiling is never
//! passed as long as the statement holds.
//!
//! INVARIANT (stated-rate): nothing is converted without a rate that is in force when the money is set aside, and what was set aside is
//! captured and given back by the rate that is kept with its line. No money moves between currencies: a ceiling is an account
//! in its own.

mod kept;
mod read;
mod set;

use std::fmt;

use purser_authority::Denied;
use purser_db::DbError;
use purser_values::error::{Kind, PublicError};
use purser_values::money::MoneyError;
use purser_values::{Currency, Money, Timestamp};
use serde::Serialize;

use crate::limits::{RATE_DEVIATION_BP, RATE_DIGITS, RATE_LIFE_S, RATE_SOURCE_CHARS};

pub(crate) use kept::{Kept, KeptRate, forget, keep, of_line, write};
pub use read::all;
pub(crate) use read::{NoRate, Rates, load};
pub use set::{RateSet, remove, set};

/// Parts of a deviation in one: basis points.
const WHOLE_BP: i128 = 10_000;

/// What one unit of a currency is in another, and how far that may be off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rate {
    pub from: Currency,
    pub to: Currency,
    pub ratio: Ratio,
    /// How much dearer it may turn out, in basis points.
    pub deviation_bp: i64,
    /// Where the rate is from, in the words of whoever stated it.
    pub source: String,
    pub valid_from: Timestamp,
    pub valid_until: Timestamp,
}

/// `numerator / denominator` units of the one currency for a unit of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ratio {
    pub numerator: i64,
    pub denominator: i64,
}

impl Rate {
    #[must_use]
    pub fn is_in_force(&self, at: Timestamp) -> bool {
        self.valid_from <= at && at < self.valid_until
    }

    /// What an amount counts as: its upper bound in the other currency, rounded up to its minor unit.
    ///
    /// # Errors
    /// When the result does not fit.
    pub fn counted(&self, amount: Money) -> Result<Money, MoneyError> {
        if amount.currency() != self.from {
            return Err(MoneyError::Mixed(amount.currency(), self.from));
        }
        let of = |exponent: u32| 10_i128.checked_pow(exponent).ok_or(MoneyError::Overflow);
        let factors = [i128::from(self.ratio.numerator), of(self.to.exponent())?, WHOLE_BP + i128::from(self.deviation_bp)];
        let above = factors.into_iter().try_fold(i128::from(amount.minor()), i128::checked_mul).ok_or(MoneyError::Overflow)?;
        let below = i128::from(self.ratio.denominator) * of(self.from.exponent())? * WHOLE_BP;
        let up = above.checked_add(below - 1).ok_or(MoneyError::Overflow)?.div_euclid(below);
        i64::try_from(up).map(|minor| Money::from_minor(minor, self.to)).map_err(|_| MoneyError::Overflow)
    }
}

impl Ratio {
    /// Reads `1.0842`, or two whole numbers as `271/250`.
    ///
    /// # Errors
    /// When it is not above zero, or has too many digits.
    pub fn parse(text: &str) -> Result<Self, RateError> {
        let bad = || RateError::Ratio(text.chars().take(RATE_DIGITS * 2 + 1).collect());
        let number = |digits: &str| {
            let fits = !digits.is_empty() && digits.len() <= RATE_DIGITS && digits.bytes().all(|b| b.is_ascii_digit());
            if fits { digits.parse::<i64>().map_err(|_| bad()) } else { Err(bad()) }
        };
        let (numerator, denominator) = match text.split_once('/') {
            Some((above, below)) => (number(above)?, number(below)?),
            None => {
                let (whole, part) = text.split_once('.').unwrap_or((text, ""));
                let scale = u32::try_from(part.len()).ok().and_then(|digits| 10_i64.checked_pow(digits)).ok_or_else(bad)?;
                if text.ends_with('.') {
                    return Err(bad());
                }
                (number(&format!("{whole}{part}"))?, scale)
            }
        };
        if numerator == 0 || denominator == 0 { Err(bad()) } else { Ok(Self { numerator, denominator }) }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { numerator, denominator } = *self;
        let digits = denominator.checked_ilog10().unwrap_or(0);
        if denominator != 10_i64.pow(digits) {
            return write!(f, "{numerator}/{denominator}");
        }
        let width = digits as usize;
        match digits {
            0 => write!(f, "{numerator}"),
            _ => write!(f, "{}.{:0width$}", numerator / denominator, numerator % denominator),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, ratio, deviation_bp, .. } = self;
        write!(f, "1 {from} = {ratio} {to}, at most {}.{:02} % more", deviation_bp / 100, deviation_bp % 100)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum RateError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error("`{0}` is not a rate")]
    Ratio(String),
    #[error("a rate is between two currencies, and `{0}` is one")]
    SameCurrency(Currency),
    #[error("a rate may be off by 0 to {RATE_DEVIATION_BP} basis points, and `{0}` is not that")]
    Deviation(i64),
    #[error("a source has 1 to {RATE_SOURCE_CHARS} visible characters")]
    Source,
    #[error("a rate ends after it begins, in the future, and within {} days", RATE_LIFE_S / 86_400)]
    Time,
    #[error("there is no rate from {0} to {1}")]
    Unknown(Currency, Currency),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for RateError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Ratio(_) => "rate_ratio",
            Self::SameCurrency(_) => "rate_same_currency",
            Self::Deviation(_) => "rate_deviation",
            Self::Source => "rate_source",
            Self::Time => "rate_time",
            Self::Unknown(..) => "rate_unknown",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Unknown(..) => Kind::NotFound,
            Self::Store(e) => e.kind(),
            _ => Kind::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Denied(e) => return e.hint(),
            Self::Ratio(_) => "write it as `1.0842`, or as a fraction such as `271/250`".to_owned(),
            Self::SameCurrency(_) => "an amount counts as it is against a ceiling in its own currency".to_owned(),
            Self::Deviation(_) => "100 basis points are one percent".to_owned(),
            Self::Source => "say where the rate is from, such as `ECB, 2026-11-23`".to_owned(),
            Self::Time => "state a rate again before it runs out".to_owned(),
            Self::Unknown(..) => "run `purser billing rate show` for those that there are".to_owned(),
            Self::Store(e) => return e.hint(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(from: Currency, to: Currency, ratio: &str, deviation_bp: i64) -> Rate {
        let (valid_from, valid_until) = (Timestamp::EPOCH, Timestamp::from_secs(10));
        Rate { from, to, ratio: Ratio::parse(ratio).unwrap(), deviation_bp, source: "test".to_owned(), valid_from, valid_until }
    }

    fn counted(rate: &Rate, minor: i64) -> i64 {
        let counted = rate.counted(Money::from_minor(minor, rate.from)).unwrap();
        assert_eq!(counted.currency(), rate.to);
        counted.minor()
    }

    #[test]
    fn what_counts_is_the_upper_bound_rounded_up() {
        let (eur, usd): (Currency, Currency) = (Currency::EUR, Currency::USD);
        let (jpy, kwd): (Currency, Currency) = ("JPY".parse().unwrap(), "KWD".parse().unwrap());
        let table = [
            (rate(eur, usd, "1.0842", 0), 10_00, 10_85),
            (rate(eur, usd, "1.0842", 200), 10_00, 11_06),
            (rate(eur, usd, "1", 0), 10_00, 10_00),
            (rate(eur, usd, "1", 1), 1, 2),
            (rate(eur, usd, "271/250", 0), 2_50, 2_71),
            (rate(eur, usd, "0.0001", 0), 1, 1),
            (rate(eur, usd, "1.5", 0), 0, 0),
            // currencies of no, two and three decimal places
            (rate(jpy, usd, "0.0067", 0), 1_000, 6_70),
            (rate(usd, jpy, "149.253", 0), 6_70, 1_000),
            (rate(kwd, usd, "3.25", 0), 1_000, 3_25),
            (rate(usd, kwd, "0.3077", 0), 1_00, 308),
        ];
        for (rate, minor, expected) in table {
            assert_eq!(counted(&rate, minor), expected, "{minor} at {rate}");
        }
        let most = rate(eur, usd, "2", 0).counted(Money::from_minor(i64::MAX, eur));
        assert!(matches!(most, Err(MoneyError::Overflow)), "{most:?}");
        assert!(rate(eur, usd, "2", 0).counted(Money::from_minor(1, usd)).is_err());
    }

    #[test]
    fn parts_never_count_less_than_the_whole_and_more_never_counts_less() {
        for (ratio, deviation) in [("1.0842", 0), ("0.9137", 137), ("271/250", 50), ("149.253", 1)] {
            let rate = rate(Currency::EUR, Currency::USD, ratio, deviation);
            for whole in 1..400_i64 {
                assert!(counted(&rate, whole) >= counted(&rate, whole - 1));
                for part in 0..=whole {
                    assert!(counted(&rate, part) + counted(&rate, whole - part) >= counted(&rate, whole), "{part} of {whole} at {rate}");
                }
            }
        }
    }

    #[test]
    fn a_rate_is_read_exactly_or_not_at_all() {
        for (text, numerator, denominator, said) in
            [("1.0842", 10_842, 10_000, "1.0842"), ("271/250", 271, 250, "271/250"), ("3", 3, 1, "3"), ("0.05", 5, 100, "0.05")]
        {
            let ratio = Ratio::parse(text).unwrap();
            assert_eq!((ratio, ratio.to_string().as_str()), (Ratio { numerator, denominator }, said));
        }
        for bad in ["", "0", "0.0", "-1", "+1", "1,1", "1.", ".5", "1e3", "1/0", "0/1", "1/2/3", " 1", "1234567890123", "0.1234567890123"] {
            let read = Ratio::parse(bad);
            assert!(bad == ".5" || read.is_err(), "`{bad}` was read as {read:?}");
        }
    }
}
