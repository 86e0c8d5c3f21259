//! Parts of a price, to the second.
//!
//! A part is `price × seconds left ÷ seconds of the period`, rounded half up to the minor unit, once for each line.

use purser_values::Money;

/// `price × part ÷ whole`, rounded half up. Zero for an empty whole.
#[must_use]
pub fn part(price: Money, part: i64, whole: i64) -> Money {
    let zero = Money::zero(price.currency());
    if whole <= 0 {
        return zero;
    }
    let (price_minor, part, whole) = (i128::from(price.minor()), i128::from(part.clamp(0, whole)), i128::from(whole));
    let rounded = (2 * price_minor * part + whole).div_euclid(2 * whole);
    i64::try_from(rounded).map_or(zero, |minor| Money::from_minor(minor, price.currency()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::Currency;

    fn of(minor: i64, seconds: i64, whole: i64) -> i64 {
        part(Money::from_minor(minor, Currency::USD), seconds, whole).minor()
    }

    #[test]
    fn a_half_goes_up_and_less_goes_down() {
        let table = [
            (5_00, 0, 10, 0),
            (5_00, 10, 10, 5_00),
            (5_00, 1, 3, 1_67),
            (5_00, 2, 3, 3_33),
            (1, 1, 2, 1),
            (1, 499, 1000, 0),
            (3, 1, 2, 2),
            (5_00, 15 * 86_400, 30 * 86_400, 2_50),
            (20_00, 2_678_399, 2_678_400, 20_00),
            (20_00, 1, 2_678_400, 0),
            (5_00, 11, 10, 5_00),
            (5_00, -1, 10, 0),
            (5_00, 1, 0, 0),
            (i64::MAX, 10, 10, i64::MAX),
        ];
        for (minor, seconds, whole, expected) in table {
            assert_eq!(of(minor, seconds, whole), expected, "{minor} × {seconds} ÷ {whole}");
        }
    }

    #[test]
    fn what_is_used_and_what_is_left_differ_from_the_price_by_a_cent_at_most() {
        for seconds in (0..=2_592_000_i64).step_by(997) {
            let both = of(9_15, seconds, 2_592_000) + of(9_15, 2_592_000 - seconds, 2_592_000);
            assert!((915..=916).contains(&both), "{seconds}: {both}");
        }
    }
}
