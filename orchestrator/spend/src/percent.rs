//! Parts of a budget or a cap, in percent with up to two decimals.
//!
//! Kept in hundredths of a percent, so that `66.5` is exact. For programs it is a number, and a whole one where it is whole.

use std::fmt;
use std::str::FromStr;

use purser_values::Money;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Hundredths in one percent.
const PARTS: i64 = 100;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Percent(i64);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a percentage is a number such as `80` or `66.5`, with at most two decimals")]
pub struct ParsePercentError;

impl Percent {
    #[must_use]
    pub const fn whole(percent: i64) -> Self {
        Self(percent.saturating_mul(PARTS))
    }

    /// From hundredths of a percent, as it is stored.
    #[must_use]
    pub const fn from_basis_points(points: i64) -> Self {
        Self(points)
    }

    #[must_use]
    pub const fn basis_points(self) -> i64 {
        self.0
    }

    /// Whether the part is at least this much of the whole. Whole numbers only: nothing is divided.
    #[must_use]
    pub fn is_reached(self, part: i64, whole: Money) -> bool {
        i128::from(part) * i128::from(100 * PARTS) >= i128::from(self.0) * i128::from(whole.minor())
    }

    /// Whether the part is more than this much of the whole.
    #[must_use]
    pub fn is_passed(self, part: i128, whole: Money) -> bool {
        part * i128::from(100 * PARTS) > i128::from(self.0) * i128::from(whole.minor())
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / PARTS, (self.0 % PARTS).abs());
        match (rest, rest % 10) {
            (0, _) => write!(f, "{whole}"),
            (_, 0) => write!(f, "{whole}.{}", rest / 10),
            _ => write!(f, "{whole}.{rest:02}"),
        }
    }
}

impl FromStr for Percent {
    type Err = ParsePercentError;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        let (whole, rest) = s.split_once('.').unwrap_or((s, ""));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let dot = whole.len() < s.len();
        if whole.is_empty() || whole.len() > 9 || !digits(whole) || !digits(rest) || rest.len() > 2 || dot && rest.is_empty() {
            return Err(ParsePercentError);
        }
        let whole: i64 = whole.parse().map_err(|_| ParsePercentError)?;
        let rest: i64 = format!("{rest:0<2}").parse().map_err(|_| ParsePercentError)?;
        Ok(Self(whole * PARTS + rest))
    }
}

impl Serialize for Percent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Its own text as a number: no arithmetic with floating point.
        let text = self.to_string();
        match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(whole), _) => serializer.serialize_i64(whole),
            (_, Ok(part)) => serializer.serialize_f64(part),
            (Err(_), Err(_)) => Err(serde::ser::Error::custom(ParsePercentError)),
        }
    }
}

impl<'de> Deserialize<'de> for Percent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde_json::Number::deserialize(deserializer)?.to_string().parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use purser_values::Currency;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_percentage_is_read_and_written_as_it_is_and_no_other_text_is_one() {
        for (text, points, number) in [
            ("80", 80_00, json!(80)),
            ("66.5", 66_50, json!(66.5)),
            ("0.01", 1, json!(0.01)),
            ("33.33", 33_33, json!(33.33)),
            ("1.05", 1_05, json!(1.05)),
        ] {
            let percent: Percent = text.parse().unwrap();
            assert_eq!((percent.basis_points(), percent.to_string().as_str(), json!(percent)), (points, text, number.clone()), "{text}");
            assert_eq!(serde_json::from_value::<Percent>(number).unwrap(), percent);
        }
        assert_eq!("66.50".parse::<Percent>().unwrap().to_string(), "66.5");
        for bad in ["", ".5", "5.", "-1", "+1", "1e2", "1.005", "50 %", "9999999999", "NaN"] {
            assert_eq!(bad.parse::<Percent>(), Err(ParsePercentError), "{bad}");
        }
        assert!(serde_json::from_value::<Percent>(json!("80")).is_err());
        assert!(serde_json::from_value::<Percent>(json!(-1)).is_err());
    }

    #[test]
    fn a_part_is_reached_to_the_cent() {
        let whole = Money::from_minor(300_00, Currency::USD);
        let percent: Percent = "66.5".parse().unwrap();
        assert!(percent.is_reached(199_50, whole) && !percent.is_reached(199_49, whole));
        assert!(percent.is_passed(199_51, whole) && !percent.is_passed(199_50, whole));
    }
}
