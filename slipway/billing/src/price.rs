//! What use costs: a price list that programs read, and the rating of a period's use against it.
//!
//! Each meter is rated by itself: `(used − included) × amount ÷ per`, rounded half up to the minor unit once for the period.

use std::collections::BTreeMap;

use purser_values::{Currency, Money};
use serde::{Deserialize, Serialize};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Requests that the edge served.
    Requests,
    /// Milliseconds of processor time of the account's code.
    CpuMs,
    /// Bytes stored, times the hours for which they were.
    StorageByteHours,
}

/// How much was used, by meter.
pub type Use = BTreeMap<Meter, u64>;

/// The price of one meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeterPrice {
    pub meter: Meter,
    /// How much each period includes.
    pub included: u64,
    /// What comes on top costs; without it nothing comes on top.
    pub over: Option<Over>,
}

/// So much for so many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    pub per: u64,
    pub amount_minor: i64,
}

/// The price list of a plan. A meter that is not on it costs nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceList {
    pub currency: Currency,
    pub meters: Vec<MeterPrice>,
}

/// One rated meter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rated {
    pub price: MeterPrice,
    pub used: u64,
    /// What is beyond the included amount.
    pub beyond: u64,
    pub amount: Money,
}

impl Meter {
    pub const ALL: [Self; 3] = [Self::Requests, Self::CpuMs, Self::StorageByteHours];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::CpuMs => "cpu_ms",
            Self::StorageByteHours => "storage_byte_hours",
        }
    }

    /// As an invoice names it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Requests => "Requests",
            Self::CpuMs => "CPU time",
            Self::StorageByteHours => "Storage",
        }
    }
}

impl std::str::FromStr for Meter {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|meter| meter.name() == s).ok_or_else(|| format!("`{s}` is not measured"))
    }
}

impl PriceList {
    /// The list on which nothing is.
    #[must_use]
    pub const fn free(currency: Currency) -> Self {
        Self { currency, meters: Vec::new() }
    }

    /// What a period's use costs, meter by meter. What is beyond an included amount without a price is rated at nothing: it is not served.
    #[must_use]
    pub fn rate(&self, used: &Use) -> Vec<Rated> {
        self.meters.iter().map(|price| price.rate(used.get(&price.meter).copied().unwrap_or(0), self.currency)).collect()
    }

    /// The sum of [`PriceList::rate`]; nothing when it does not fit.
    #[must_use]
    pub fn cost(&self, used: &Use) -> Option<Money> {
        self.rate(used).iter().try_fold(Money::zero(self.currency), |sum, rated| sum.checked_add(rated.amount).ok())
    }

    /// How much of one meter may be used in all, when so much is set aside for everything and the other meters stand as they do.
    #[must_use]
    pub fn allowed(&self, meter: Meter, used: &Use, set_aside: Money) -> u64 {
        let Some(price) = self.meters.iter().find(|price| price.meter == meter) else { return u64::MAX };
        let Some(over) = price.over.filter(|over| over.amount_minor > 0) else {
            return if price.over.is_some() { u64::MAX } else { price.included };
        };
        let mut others = used.clone();
        others.remove(&meter);
        let rest = self.cost(&others).and_then(|cost| set_aside.checked_sub(cost).ok()).map_or(0, |rest| rest.minor().max(0));
        // Rounded half up, `beyond` units cost at most `rest` while beyond × amount ÷ per < rest + ½.
        let most = (i128::from(rest) * 2 + 1) * i128::from(over.per) - 1;
        let beyond = u64::try_from(most / (2 * i128::from(over.amount_minor))).unwrap_or(u64::MAX);
        price.included.saturating_add(beyond)
    }
}

impl MeterPrice {
    fn rate(self, used: u64, currency: Currency) -> Rated {
        let beyond = used.saturating_sub(self.included);
        let minor = self.over.map_or(0, |over| {
            let per = i128::from(over.per.max(1));
            let exact = i128::from(beyond) * i128::from(over.amount_minor);
            i64::try_from((2 * exact + per).div_euclid(2 * per)).unwrap_or(i64::MAX)
        });
        Rated { price: self, used, beyond, amount: Money::from_minor(minor, currency) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> PriceList {
        let meter = |meter, included, per, amount_minor| MeterPrice { meter, included, over: Some(Over { per, amount_minor }) };
        PriceList { currency: Currency::USD, meters: vec![meter(Meter::Requests, 1_000, 1_000, 30), meter(Meter::CpuMs, 0, 1_000, 2)] }
    }

    fn cost(requests: u64, cpu: u64) -> i64 {
        list().cost(&Use::from([(Meter::Requests, requests), (Meter::CpuMs, cpu)])).unwrap().minor()
    }

    #[test]
    fn only_what_is_beyond_the_included_amount_costs_and_each_meter_is_rounded_once() {
        assert_eq!(cost(1_000, 0), 0);
        assert_eq!(cost(1_016, 0), 0, "0.48 of a cent");
        assert_eq!(cost(1_017, 0), 1, "0.51 of a cent");
        assert_eq!(cost(2_000, 250), 31, "30 cents, and half a cent that goes up");
    }

    #[test]
    fn what_is_allowed_costs_no_more_than_was_set_aside_and_one_more_would() {
        for set_aside in [0, 1, 7, 30, 5_00, 12_34] {
            for cpu in [0, 400, 7_777] {
                let used = Use::from([(Meter::CpuMs, cpu)]);
                let allowed = list().allowed(Meter::Requests, &used, Money::from_minor(set_aside, Currency::USD));
                let others = cost(0, cpu);
                if others <= set_aside {
                    assert!(cost(allowed, cpu) <= set_aside, "{set_aside} {cpu} {allowed}");
                    assert!(cost(allowed + 1, cpu) > set_aside, "{set_aside} {cpu} {allowed}");
                }
            }
        }
        let free = PriceList { currency: Currency::USD, meters: vec![MeterPrice { meter: Meter::Requests, included: 7, over: None }] };
        assert_eq!(free.allowed(Meter::Requests, &Use::new(), Money::from_minor(9_99, Currency::USD)), 7);
        assert_eq!(free.allowed(Meter::CpuMs, &Use::new(), Money::zero(Currency::USD)), u64::MAX);
    }
}
