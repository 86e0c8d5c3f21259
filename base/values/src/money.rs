//! Exact money: a whole number of a currency's smallest unit.
//!
//! There is no floating point and no rounding here. Arithmetic is checked and refuses to mix currencies.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest text that is read as an amount: more than any 64-bit number needs.
const DECIMAL_CHARS: usize = 24;

/// An ISO 4217 currency that has a smallest unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency(iso_currency::Currency);

/// An amount in minor units (cents for USD). May be negative: the ledger needs both signs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Money {
    #[serde(rename = "amount_minor")]
    minor: i64,
    currency: Currency,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("`{0}` is not an ISO 4217 currency with a smallest unit")]
    Currency(String),
    #[error("`{0}` is not an amount: write digits alone, with a point before the cents, such as 12 or 12.50")]
    Amount(String),
    #[error("amounts in {0} and {1} do not mix")]
    Mixed(Currency, Currency),
    #[error("the amount is too large")]
    Overflow,
}

impl Currency {
    pub const USD: Self = Self(iso_currency::Currency::USD);
    pub const EUR: Self = Self(iso_currency::Currency::EUR);

    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Digits after the decimal point: 2 for USD, 0 for JPY, 3 for KWD.
    #[must_use]
    pub fn exponent(self) -> u32 {
        u32::from(self.0.exponent().unwrap_or(0))
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    /// Takes upper- or lower-case codes; processors write `usd`.
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        iso_currency::Currency::from_code(&s.to_ascii_uppercase())
            .filter(|c| c.exponent().is_some())
            .map(Self)
            .ok_or_else(|| MoneyError::Currency(s.chars().take(16).collect()))
    }
}
impl TryFrom<String> for Currency {
    type Error = MoneyError;
    fn try_from(s: String) -> Result<Self, Self::Error> {
        s.parse()
    }
}
impl From<Currency> for String {
    fn from(c: Currency) -> Self {
        c.code().to_owned()
    }
}
impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Money {
    #[must_use]
    pub const fn from_minor(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    #[must_use]
    pub const fn minor(self) -> i64 {
        self.minor
    }

    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.minor == 0
    }

    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.minor > 0
    }

    /// # Errors
    /// When the currencies differ or the sum does not fit.
    pub fn checked_add(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_add(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// # Errors
    /// When the currencies differ or the difference does not fit.
    pub fn checked_sub(self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let minor = self.minor.checked_sub(other.minor).ok_or(MoneyError::Overflow)?;
        Ok(Self { minor, ..self })
    }

    /// Whole-number parts that add up to the amount exactly; the first parts get the remainder.
    #[must_use]
    pub fn split(self, parts: u32) -> Vec<Self> {
        let n = i64::from(parts.max(1));
        let (each, rest) = (self.minor.div_euclid(n), self.minor.rem_euclid(n));
        (0..n).map(|i| Self { minor: each + i64::from(i < rest), ..self }).collect()
    }

    /// Reads `12.34`, `12` or `0.5` as an amount of `currency`; more decimals than the currency has are refused.
    ///
    /// # Errors
    /// When the text is not a non-negative decimal number that fits.
    pub fn parse_decimal(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let bad = || MoneyError::Amount(text.chars().take(32).collect());
        let digits = currency.exponent() as usize;
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let decimal = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty()
            || text.len() > DECIMAL_CHARS
            || !decimal(whole)
            || !decimal(fraction)
            || fraction.len() > digits
            || (text.contains('.') && fraction.is_empty())
        {
            return Err(bad());
        }
        format!("{whole}{fraction:0<digits$}").parse().map(|minor| Self { minor, currency }).map_err(|_| bad())
    }

    /// The number without its currency: `12.34`.
    #[must_use]
    pub fn decimal(self) -> String {
        let digits = self.currency.exponent() as usize;
        let sign = if self.minor < 0 { "-" } else { "" };
        let text = format!("{:0>width$}", self.minor.unsigned_abs(), width = digits + 1);
        if digits == 0 {
            return format!("{sign}{text}");
        }
        let (whole, fraction) = text.split_at(text.len() - digits);
        format!("{sign}{whole}.{fraction}")
    }

    fn same_currency(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency { Ok(()) } else { Err(MoneyError::Mixed(self.currency, other.currency)) }
    }
}

impl fmt::Display for Money {
    /// `USD 12.34`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency, self.decimal())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_follow_the_currency() {
        assert_eq!(Money::from_minor(1205, Currency::USD).to_string(), "USD 12.05");
        assert_eq!(Money::from_minor(-5, Currency::USD).to_string(), "USD -0.05");
        assert_eq!(Money::from_minor(1205, "JPY".parse().unwrap()).to_string(), "JPY 1205");
        assert_eq!(Money::parse_decimal("100", Currency::USD).unwrap().minor(), 10_000);
        assert_eq!(Money::parse_decimal("0.5", Currency::USD).unwrap().minor(), 50);
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", "-1", "1.234", "1e3", "1.", ".5", "NaN", "99999999999999999999", "1 0"] {
            assert!(Money::parse_decimal(text, Currency::USD).is_err(), "`{text}` was taken");
        }
    }

    #[test]
    fn currencies_do_not_mix() {
        let usd = Money::from_minor(1, Currency::USD);
        assert_eq!(usd.checked_add(Money::from_minor(1, Currency::EUR)), Err(MoneyError::Mixed(Currency::USD, Currency::EUR)));
        assert_eq!(Money::from_minor(i64::MAX, Currency::USD).checked_add(usd), Err(MoneyError::Overflow));
    }

    proptest! {
        #[test]
        fn splitting_conserves_the_sum(minor in -1_000_000_000_i64..1_000_000_000, parts in 1_u32..50) {
            let shares = Money::from_minor(minor, Currency::USD).split(parts);
            prop_assert_eq!(shares.iter().map(|m| m.minor()).sum::<i64>(), minor);
            prop_assert!(shares.iter().map(|m| m.minor()).max().unwrap() - shares.iter().map(|m| m.minor()).min().unwrap() <= 1);
        }

        #[test]
        fn text_and_back_is_the_same_amount(minor in 0_i64..i64::MAX / 2) {
            let money = Money::from_minor(minor, Currency::USD);
            prop_assert_eq!(Money::parse_decimal(&money.decimal(), Currency::USD).unwrap(), money);
        }
    }
}
