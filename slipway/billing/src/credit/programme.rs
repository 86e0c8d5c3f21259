//! The programmes that slipway's operator offers.

use purser_values::money::MoneyError;
use purser_values::{Currency, Money};
use purser_wire::credit::{Cover, Programme};
use serde::Deserialize;

/// A programme and how much of it may be given in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    pub programme: Programme,
    /// INVARIANT (programme-cap): what was given under it never passes this.
    pub total: Money,
}

/// As the operator writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfferConfig {
    pub id: String,
    pub title: String,
    #[serde(default)]
    pub description: String,
    /// For each organisation: `100000.00`.
    pub amount: String,
    #[serde(default = "usd")]
    pub currency: Currency,
    pub months: u32,
    /// What it pays for; plans and use unless something else is named.
    #[serde(default = "plans_and_use")]
    pub covers: Vec<Cover>,
    /// For all organisations together: `1000000.00`.
    pub total: String,
}

const fn usd() -> Currency {
    Currency::USD
}

fn plans_and_use() -> Vec<Cover> {
    vec![Cover::Plans, Cover::Usage]
}

#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    #[error("the programme `{0}` needs an id, a title, an amount above nothing and 1 to 120 months")]
    Unusable(String),
    #[error("the programme `{id}`: {source}")]
    Amount { id: String, source: MoneyError },
    #[error("the programme `{id}` cannot cover `{word}`; it can cover `plans`, `usage` and `domains`")]
    Cover { id: String, word: String },
    #[error("the programme `{0}` gives one organisation more than all together")]
    Total(String),
    #[error("there are two programmes `{0}`")]
    Twice(String),
}

/// The programmes, checked.
///
/// # Errors
/// When one cannot be offered as it is written.
pub fn offers(written: &[OfferConfig]) -> Result<Vec<Offer>, OfferError> {
    let mut all: Vec<Offer> = Vec::new();
    for one in written {
        let id = one.id.clone();
        let money =
            |text: &str| Money::parse_decimal(text, one.currency).map_err(|source| OfferError::Amount { id: one.id.clone(), source });
        let (amount, total) = (money(&one.amount)?, money(&one.total)?);
        if let Some(word) = one.covers.iter().find(|cover| !cover.is_known()) {
            return Err(OfferError::Cover { id, word: word.to_string() });
        }
        let programme = Programme {
            id: id.clone(),
            title: one.title.clone(),
            description: one.description.clone(),
            amount,
            months: one.months,
            covers: one.covers.clone(),
        };
        if !programme.is_usable() || programme.covers.is_empty() {
            return Err(OfferError::Unusable(id));
        }
        if total.minor() < amount.minor() {
            return Err(OfferError::Total(id));
        }
        if all.iter().any(|offer| offer.programme.id == id) {
            return Err(OfferError::Twice(id));
        }
        all.push(Offer { programme, total });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(id: &str, amount: &str, total: &str, months: u32) -> OfferConfig {
        let (title, currency) = ("Start-up".to_owned(), Currency::USD);
        let (amount, total) = (amount.to_owned(), total.to_owned());
        OfferConfig { id: id.to_owned(), title, description: String::new(), amount, currency, months, covers: plans_and_use(), total }
    }

    #[test]
    fn a_programme_gives_something_for_a_time_and_not_more_than_there_is() {
        let good = offers(&[written("start-up", "100000.00", "1000000.00", 12)]).unwrap();
        assert_eq!((good[0].programme.amount.minor(), good[0].total.minor()), (100_000_00, 1_000_000_00));
        for bad in [
            written("", "1.00", "1.00", 12),
            written("x", "0.00", "1.00", 12),
            written("x", "1.00", "1.00", 0),
            written("x", "1.001", "2.00", 1),
            written("x", "2.00", "1.00", 1),
            OfferConfig { covers: vec![Cover::Other("lunch".to_owned())], ..written("x", "1.00", "1.00", 1) },
            OfferConfig { covers: vec![], ..written("x", "1.00", "1.00", 1) },
        ] {
            assert!(offers(std::slice::from_ref(&bad)).is_err(), "{bad:?}");
        }
        let twice = [written("x", "1.00", "1.00", 1), written("x", "2.00", "2.00", 2)];
        assert!(matches!(offers(&twice), Err(OfferError::Twice(_))));
    }
}
