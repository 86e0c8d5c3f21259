//! What plans include, and what use costs beyond that. The catalogue publishes the same list.

use purser_values::{Currency, Money};
use purser_wire::catalog;
use slipway_accounts::service::Service;
use slipway_billing::price::{Meter, MeterPrice, Over, PriceList};
use slipway_billing::subscription::{Payment, Terms};

/// Hours of a month, as storage is priced: a gigabyte-month is a gigabyte for so many hours.
const MONTH_HOURS: u64 = 730;
const GIGABYTE: u64 = 1_000_000_000;

const PAID: [MeterPrice; 3] = [
    price(Meter::Requests, 10_000_000, 1_000_000, 30),
    price(Meter::CpuMs, 30_000_000, 1_000_000, 2),
    price(Meter::StorageByteHours, 5 * GIGABYTE * MONTH_HOURS, GIGABYTE * MONTH_HOURS, 20),
];

/// Nothing is sold on top of the free plan: it stops at what it includes.
const FREE: [MeterPrice; 2] = [
    MeterPrice { meter: Meter::Requests, included: 100_000_000, over: None },
    MeterPrice { meter: Meter::StorageByteHours, included: GIGABYTE * MONTH_HOURS, over: None },
];

const fn price(meter: Meter, included: u64, per: u64, amount_minor: i64) -> MeterPrice {
    MeterPrice { meter, included, over: Some(Over { per, amount_minor }) }
}

#[must_use]
pub fn prices(service: Service) -> PriceList {
    let meters = match service {
        Service::Free => FREE.to_vec(),
        Service::Paid => PAID.to_vec(),
        Service::Workers | Service::Domain => Vec::new(),
    };
    PriceList { currency: Currency::USD, meters }
}

/// A plan's terms, without a payment.
#[must_use]
pub fn terms(service: Service, plan: String) -> Terms {
    let price = service.monthly().unwrap_or(Money::zero(Currency::USD));
    Terms { plan, price, prices: prices(service), payment: Payment::default() }
}

/// The prices of use, as the catalogue says them.
#[must_use]
pub fn published(service: Service) -> Vec<catalog::Meter> {
    let list = prices(service);
    let meter = |price: &MeterPrice| {
        let over = price.over?;
        let amount = Money::from_minor(over.amount_minor, list.currency);
        Some(catalog::Meter { meter: price.meter.name().to_owned(), included: price.included, per: over.per, amount })
    };
    list.meters.iter().filter_map(meter).collect()
}
