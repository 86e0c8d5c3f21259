//! Prices (RFC 8748): told to whoever asks, and agreed to before anything that costs more than the plain price is done.

use purser_values::Money;

use crate::code::Code;
use crate::command::Call;
use crate::names::FEE;
use crate::reply::{Outcome, refused};
use crate::rules::Rules;
use crate::xml::{Element, Writer};

/// The commands that have a price.
const PRICED: [&str; 5] = ["create", "renew", "transfer", "restore", "delete"];
/// The class of names that cost more.
const PREMIUM: &str = "premium";
const GRACE: &str = "P5D";

/// What a check asks the prices of.
pub(crate) struct Wanted {
    commands: Vec<(String, Option<u32>)>,
}

impl Wanted {
    pub(crate) fn read(check: &Element) -> Outcome<Self> {
        let mut commands = Vec::new();
        for command in check.all("command") {
            let name = command.attribute("name").unwrap_or_default().to_owned();
            let period = command.child("period").map(Element::token);
            let years = period
                .map(|text| text.parse().ok().filter(|n| (1..=10).contains(n)))
                .map_or(Ok(None), |n| n.map(Some).ok_or_else(|| refused(Code::Range, "prices are for 1 to 10 years")))?;
            if commands.len() >= PRICED.len() {
                return Err(refused(Code::Policy, "each command once"));
            }
            commands.push((name, years));
        }
        if commands.is_empty() { Err(refused(Code::Missing, "`command` is missing")) } else { Ok(Self { commands }) }
    }

    /// Writes the prices of one name.
    pub(crate) fn price(&self, w: &mut Writer, rules: &Rules, asked: &str, label: Option<&str>) {
        w.open("fee:cd", &[("avail", if label.is_some() { "1" } else { "0" })]).leaf("fee:objID", asked);
        if let Some(label) = label {
            if rules.is_premium(label) {
                w.leaf("fee:class", PREMIUM);
            }
            for (name, years) in &self.commands {
                self.line(w, rules, label, name, *years);
            }
        } else {
            w.leaf("fee:reason", "not kept here");
        }
        w.close("fee:cd");
    }

    fn line(&self, w: &mut Writer, rules: &Rules, label: &str, name: &str, years: Option<u32>) {
        let years = years.unwrap_or(1);
        w.open("fee:command", &[("name", name), ("standard", if rules.is_premium(label) { "0" } else { "1" })]);
        match name {
            "create" | "renew" | "transfer" => {
                w.leaf_with("fee:period", &[("unit", "y")], years);
                amount(w, rules.price(label, years));
            }
            "restore" => amount(w, rules.price(label, 1)),
            "delete" => amount(w, Money::zero(rules.yearly.currency())),
            _ => {
                w.leaf("fee:reason", "there is no such command");
            }
        }
        w.close("fee:command");
    }
}

fn amount(w: &mut Writer, price: Money) {
    w.leaf_with("fee:fee", &[("refundable", "1"), ("grace-period", GRACE)], price.decimal());
}

/// The whole extension of a check's answer.
pub(crate) fn check_data(rules: &Rules, prices: &str) -> String {
    let mut w = Writer::default();
    w.open("fee:chkData", &[("xmlns:fee", FEE)]).leaf("fee:currency", rules.yearly.currency()).part(prices).close("fee:chkData");
    w.finish()
}

/// The price of a command, which the client must have named where it is not the plain one, and rightly wherever it names one.
pub(crate) fn agreed(call: &Call<'_>, command: &str, label: &str, years: u32) -> Outcome<Money> {
    let price = call.rules.price(label, years);
    let Some(offered) = call.extended(FEE, command) else {
        if call.rules.is_premium(label) {
            return Err(refused(Code::Missing, "the name is premium: name its price"));
        }
        return Ok(price);
    };
    let currency = offered.child("currency").map(Element::token);
    if currency.is_some_and(|it| it != price.currency().code()) {
        return Err(refused(Code::Range, format!("prices are in {}", price.currency())));
    }
    let mut sum = Money::zero(price.currency());
    for fee in offered.all("fee") {
        let part = Money::parse_decimal(&fee.token(), price.currency()).ok();
        let added = part.and_then(|part| sum.checked_add(part).ok());
        sum = added.ok_or_else(|| refused(Code::Value, "`fee` is an amount"))?;
    }
    if sum == price { Ok(price) } else { Err(refused(Code::Range, format!("the price is {}", price.decimal()))) }
}

/// What a command cost.
pub(crate) fn charged(element: &str, price: Money) -> String {
    let tag = format!("fee:{element}");
    let mut w = Writer::default();
    w.open(&tag, &[("xmlns:fee", FEE)]).leaf("fee:currency", price.currency());
    amount(&mut w, price);
    w.close(&tag);
    w.finish()
}
