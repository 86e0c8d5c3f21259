//! Amounts as Stripe counts them: the smallest unit, with the exceptions that its currency page names.

use purser_values::{Currency, Money};

/// Currencies without a smaller unit that Stripe nevertheless counts in hundredths.
const IN_HUNDREDTHS: [&str; 2] = ["ISK", "UGX"];
/// Currencies with a smaller unit that Stripe counts in whole units.
const IN_WHOLES: [&str; 1] = ["MGA"];

/// The amount in Stripe's units; nothing where Stripe cannot take it exactly.
pub fn to_stripe(amount: Money) -> Option<i64> {
    let (minor, code) = (amount.minor(), amount.currency().code());
    if IN_HUNDREDTHS.contains(&code) {
        return minor.checked_mul(100);
    }
    if IN_WHOLES.contains(&code) {
        return (minor % 100 == 0).then_some(minor / 100);
    }
    // Of three digits the last must be zero.
    if amount.currency().exponent() == 3 && minor % 10 != 0 {
        return None;
    }
    Some(minor)
}

/// An amount of Stripe's in ours.
pub fn from_stripe(units: i64, currency: Currency) -> Option<Money> {
    let code = currency.code();
    let minor = if IN_HUNDREDTHS.contains(&code) {
        units / 100
    } else if IN_WHOLES.contains(&code) {
        units.checked_mul(100)?
    } else {
        units
    };
    Some(Money::from_minor(minor, currency))
}

/// Stripe writes currencies in small letters.
pub fn currency(amount: Money) -> String {
    amount.currency().code().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        for (minor, code, units) in [
            (5_00, "USD", Some(500)),
            (500, "JPY", Some(500)),
            (5, "ISK", Some(500)),
            (7, "UGX", Some(700)),
            (5_00, "MGA", Some(5)),
            (5_01, "MGA", None),
            (5_120, "KWD", Some(5_120)),
            (5_123, "KWD", None),
            (i64::MAX, "ISK", None),
        ] {
            let money = Money::from_minor(minor, code.parse().unwrap());
            assert_eq!(to_stripe(money), units, "{money}");
            if let Some(units) = units {
                assert_eq!(from_stripe(units, money.currency()), Some(money));
            }
        }
    }
}
