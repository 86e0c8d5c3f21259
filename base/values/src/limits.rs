//! Every limit that more than one room relies on, by name.

use crate::{Currency, Money};

/// Largest JSON or form body that an API route reads, in bytes.
pub const JSON_BODY_BYTES: usize = 256 * 1024;
/// Largest code upload (a Worker with its modules, or one batch of assets), in bytes.
pub const UPLOAD_BODY_BYTES: usize = 30 * 1024 * 1024;
/// Largest answer that the guarded fetcher reads, in bytes.
pub const FETCH_BODY_BYTES: usize = 1024 * 1024;
/// Time the guarded fetcher gives one exchange, in milliseconds.
pub const FETCH_TIMEOUT_MS: u64 = 10_000;
/// Age at which a signed request is stale, in seconds (both ways).
pub const SIGNATURE_TOLERANCE_S: i64 = 300;
/// Life of an e-mailed sign-in code, in seconds, and the wrong tries it survives.
pub const SIGN_IN_CODE_LIFE_S: i64 = 600;
pub const SIGN_IN_CODE_TRIES: i64 = 5;
/// Life of a device authorisation that waits for a person, in seconds.
pub const DEVICE_CODE_LIFE_S: i64 = 900;
/// How long a token poll is held open for a decision, in seconds.
pub const DEVICE_POLL_HOLD_S: u64 = 20;
/// Life of an agent's access token, in seconds.
pub const ACCESS_TOKEN_LIFE_S: i64 = 600;
/// Life of a person's command-line token, in seconds.
pub const PERSON_TOKEN_LIFE_S: i64 = 600;
/// Life of a person's browser session, in seconds.
pub const SESSION_LIFE_S: i64 = 12 * 3600;
/// Longest agent name, in characters.
pub const AGENT_NAME_CHARS: usize = 80;
/// Default cap of one agent at one provider in one calendar month, in minor units of USD.
pub const DEFAULT_CAP_MINOR: i64 = 100_00;
/// Highest cap that anybody can set, on the consent page or later, in units of a currency such as USD, EUR or KWD.
const CAP_MAX_UNITS: i64 = 1_000_000;
/// The same where a unit buys about as much as a cent or less.
const CAP_MAX_SMALL_UNITS: i64 = 10_000_000_000;
/// Those currencies.
const SMALL_UNITS: [&str; 33] = [
    "AMD", "ARS", "BIF", "CDF", "CLP", "COP", "CRC", "DJF", "GNF", "HUF", "IDR", "IQD", "IRR", "ISK", "JPY", "KHR", "KMF", "KRW", "KZT",
    "LAK", "LBP", "MGA", "MMK", "MNT", "NGN", "PYG", "RWF", "TZS", "UGX", "UZS", "VND", "XAF", "XOF",
];
/// Longest answer text of a provider that we keep, in characters.
pub const PROVIDER_MESSAGE_CHARS: usize = 500;

/// Highest cap, ceiling or budget that anybody can set in a currency.
#[must_use]
pub fn cap_max(currency: Currency) -> Money {
    let units = if SMALL_UNITS.contains(&currency.code()) { CAP_MAX_SMALL_UNITS } else { CAP_MAX_UNITS };
    of_units(units, currency)
}

/// An amount as people write it, such as `100.00`: for hints.
#[must_use]
pub fn amount_example(currency: Currency) -> String {
    of_units(100, currency).decimal()
}

fn of_units(units: i64, currency: Currency) -> Money {
    Money::from_minor(units.saturating_mul(10_i64.saturating_pow(currency.exponent())), currency)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_cap_is_about_as_much_in_every_currency() {
        let most = |code: &str| cap_max(code.parse().unwrap()).to_string();
        assert_eq!(most("USD"), "USD 1000000.00");
        assert_eq!(most("KWD"), "KWD 1000000.000");
        assert_eq!(most("JPY"), "JPY 10000000000");
        assert_eq!(most("IDR"), "IDR 10000000000.00");
        assert_eq!(amount_example("JPY".parse().unwrap()), "100");
        for code in SMALL_UNITS {
            assert!(code.parse::<Currency>().is_ok(), "{code}");
        }
    }
}
