//! Prices that a request states itself: what is dearer than its listing, such as a premium name, is bought at that price or not at all.
//!
//! A service says in its configuration schema which member states the price (`"x-stated-price": true`). Whoever fills it in asks for another
//! purchase than the listed one: a person approves it, with the amount on the page, and the provider refuses any other amount.
//! INVARIANT (approval-binds): the member is part of the configuration, and so of what is approved.

use purser_catalogue::{Listing, Price};
use purser_values::Money;
use serde_json::{Map, Value};

use crate::error::OpError;

/// What a member of a configuration schema says of itself when it states the price.
const STATES_PRICE: &str = "x-stated-price";

/// The price that the request states in the place of the listing's, if it states one.
///
/// # Errors
/// When what it states is no amount above nothing, or the listing has no currency to state it in.
pub fn stated_price(listing: &Listing, configuration: &Map<String, Value>) -> Result<Option<Price>, OpError> {
    let members = listing.configuration_schema.as_ref().and_then(|schema| schema["properties"].as_object());
    let states = |(_, member): &(&String, &Value)| member[STATES_PRICE] == Value::Bool(true);
    let Some((name, stated)) =
        members.into_iter().flatten().filter(states).find_map(|(name, _)| configuration.get(name).map(|stated| (name, stated)))
    else {
        return Ok(None);
    };
    let unfit = || OpError::Invalid(format!("`{name}` states a price, as text such as `1500.00`"));
    let Price::Known { amount, period, unit, refundable, irreversible, metered } = &listing.price else { return Err(unfit()) };
    let stated = stated.as_str().and_then(|text| Money::parse_decimal(text, amount.currency()).ok()).filter(|price| price.is_positive());
    Ok(Some(Price::Known {
        amount: stated.ok_or_else(unfit)?,
        period: *period,
        unit: unit.clone(),
        refundable: *refundable,
        irreversible: *irreversible,
        metered: metered.clone(),
    }))
}

#[cfg(test)]
mod tests {
    use purser_catalogue::Period;
    use purser_values::Currency;
    use serde_json::json;

    use super::*;

    fn listing(price: Price) -> Listing {
        let schema =
            json!({"type": "object", "properties": {"name": {"type": "string"}, "for": {"type": "string", "x-stated-price": true}}});
        Listing {
            service: "p/names".parse().unwrap(),
            description: String::new(),
            kind: "deployable".to_owned(),
            categories: Vec::new(),
            price,
            parents: Vec::new(),
            configuration_schema: Some(schema),
            credentials: Default::default(),
        }
    }

    #[test]
    fn only_the_member_that_says_so_states_a_price_and_only_an_amount_is_one() {
        let known = Price::Known {
            amount: Money::from_minor(9_15, Currency::USD),
            period: Period::Year,
            unit: None,
            refundable: false,
            irreversible: true,
            metered: Vec::new(),
        };
        let stated = |configuration: Value| stated_price(&listing(known.clone()), configuration.as_object().unwrap());
        assert_eq!(stated(json!({"name": "1500.00"})).unwrap(), None);
        let Some(Price::Known { amount, irreversible, .. }) = stated(json!({"name": "a", "for": "1500.00"})).unwrap() else { panic!() };
        assert_eq!((amount.minor(), irreversible), (1_500_00, true));
        for wrong in [json!("0"), json!("-1"), json!(1500), json!("much"), json!("1.001"), Value::Null] {
            assert!(stated(json!({"for": wrong})).is_err(), "`{wrong}` was taken for a price");
        }
        let unknown = listing(Price::Unknown { text: String::new() });
        assert!(stated_price(&unknown, json!({"for": "1.00"}).as_object().unwrap()).is_err());
    }
}
