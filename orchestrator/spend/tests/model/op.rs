//! What may happen, as plain data: an operation is written into the log of the run in the write that it makes, so that a run which was
//! killed can be told again.

use purser_spend::calendar::Period;
use purser_spend::ceiling::Scope;
use serde::{Deserialize, Serialize};

/// Agents of the one organisation. The second acts within the grant of the first; the third has a total.
pub const AGENTS: usize = 3;
pub const PROVIDERS: [&str; 2] = ["slipway", "other"];
/// The third agent's total, in minor units.
pub const TOTAL_MINOR: i64 = 120_000_00;
pub const FIRST_CAP_MINOR: i64 = 3_000_00;
/// The moment of the first operation, in seconds.
const BEGIN_S: i64 = 1_795_435_200;
/// Time from one operation to the next: a hold lives for sixty of them, a month has forty thousand.
const STEP_S: i64 = 60;
/// How far back an operation looks for something to repeat or to go on with.
const RECENT: u64 = 24;

pub const RULES: [(Scope, &str, Period); 5] = [
    (Scope::Organisation, "", Period::Day),
    (Scope::Project, "shop", Period::Week),
    (Scope::Environment, "shop/production", Period::Month),
    (Scope::Provider, "slipway", Period::Transaction),
    (Scope::Category, "hosting", Period::Lifetime),
];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Under a key; its one or two lines are of this amount each.
    Buy {
        agent: usize,
        provider: usize,
        key: u64,
        minor: i64,
        lines: usize,
    },
    /// A provider charges a line of the purchase with that key.
    Begin {
        purchase: u64,
        provider: usize,
        key: u64,
        line: usize,
        minor: i64,
    },
    Finish {
        charge: u64,
        provider: usize,
        captured: bool,
    },
    Release {
        purchase: u64,
    },
    Expire,
    Refund {
        charge: u64,
        provider: usize,
        key: u64,
        minor: i64,
    },
    FinishRefund {
        refund: u64,
        provider: usize,
        given: bool,
    },
    Cap {
        agent: usize,
        minor: i64,
    },
    Ceiling {
        rule: usize,
        minor: Option<i64>,
    },
    Freeze {
        agent: usize,
        frozen: bool,
    },
    /// What a euro is in dollars, in ten-thousandths; or no rate any more.
    Rate {
        per_10_000: Option<i64>,
    },
}

/// Whether the purchase under this key is priced in euros; every ceiling is in dollars.
pub const fn is_in_euros(key: u64) -> bool {
    key.is_multiple_of(3)
}

/// How much dearer than its rate a euro may turn out, in basis points.
pub const DEVIATION_BP: i64 = 137;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    pub at_s: i64,
    pub act: Act,
}

/// A small generator (splitmix64): the same seed tells the same life on every machine.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(u64::try_from(bound).unwrap())).unwrap()
    }

    fn minor(&mut self, most: u64) -> i64 {
        i64::try_from(self.below(most)).unwrap()
    }
}

/// What kind of operation a number is, without its particulars: so that later ones find what they go on with.
fn kind(seed: u64, number: u64) -> (Dice, u64) {
    let mut dice = Dice::new(seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
    let kind = dice.below(108);
    (dice, kind)
}

const BUY: std::ops::Range<u64> = 0..28;
const BEGIN: std::ops::Range<u64> = 28..55;
const REFUND: std::ops::Range<u64> = 80..88;

/// An earlier operation of a kind, not long ago; any number where there is none.
fn before(seed: u64, number: u64, dice: &mut Dice, wanted: &std::ops::Range<u64>) -> u64 {
    let from = number.saturating_sub(1 + dice.below(RECENT / 2));
    let found = (from.saturating_sub(RECENT)..=from).rev().find(|earlier| wanted.contains(&kind(seed, *earlier).1));
    found.unwrap_or(from)
}

/// The operation with this number. Purchases, charges and refunds go by the numbers of the operations that may have made them.
pub fn op(seed: u64, number: u64) -> Op {
    let (mut dice, kind) = kind(seed, number);
    let at_s = moment(&mut dice, number);
    // Those who act near to each other mostly mean the same provider.
    let near = usize::try_from(number / 64 % 2).unwrap();
    let provider = if dice.below(20) == 0 { 1 - near } else { near };
    let act = match kind {
        0..28 => Act::Buy { agent: dice.index(AGENTS), provider, key: number, minor: 1 + dice.minor(4_00), lines: 1 + dice.index(2) },
        28..55 => {
            let purchase = before(seed, number, &mut dice, &BUY);
            Act::Begin { purchase, provider, key: number, line: usize::from(dice.below(6) == 0), minor: dice.minor(1_80) - 3 }
        }
        55..76 => Act::Finish { charge: before(seed, number, &mut dice, &BEGIN), provider, captured: dice.below(4) > 0 },
        76..79 => Act::Release { purchase: before(seed, number, &mut dice, &BUY) },
        79 => Act::Expire,
        80..88 => Act::Refund { charge: before(seed, number, &mut dice, &BEGIN), provider, key: number, minor: dice.minor(90) - 3 },
        88..94 => Act::FinishRefund { refund: before(seed, number, &mut dice, &REFUND), provider, given: dice.below(4) > 0 },
        94..96 => Act::Cap { agent: dice.index(AGENTS), minor: dice.minor(30_000_00) },
        96..98 => rule_change(&mut dice),
        98 if dice.below(3) == 0 => Act::Rate { per_10_000: (dice.below(8) > 0).then(|| 8_000 + dice.minor(6_000)) },
        98 => Act::Freeze { agent: dice.index(AGENTS), frozen: dice.below(6) == 0 },
        // An earlier one over again: a retry, or a duplicate on its way since long; now and then with another body.
        _ if number > RECENT => {
            let first = op(seed, number - 1 - dice.below(RECENT)).act;
            if dice.below(4) == 0 { another_body(first) } else { first }
        }
        _ => Act::Expire,
    };
    Op { at_s, act }
}

fn rule_change(dice: &mut Dice) -> Act {
    let rule = dice.index(RULES.len());
    let most = match RULES[rule].2 {
        Period::Transaction => 30_00,
        Period::Day => 6_000_00,
        Period::Week => 40_000_00,
        Period::Month => 120_000_00,
        Period::Lifetime => 1_000_000_00,
    };
    Act::Ceiling { rule, minor: (dice.below(3) > 0).then(|| dice.minor(most)) }
}

/// Clocks run on, and now and then jump to and fro by up to two days.
fn moment(dice: &mut Dice, number: u64) -> i64 {
    let jump = if dice.below(60) == 0 { dice.minor(4 * 86_400) - 2 * 86_400 } else { 0 };
    BEGIN_S + i64::try_from(number).unwrap() * STEP_S + jump
}

fn another_body(act: Act) -> Act {
    match act {
        Act::Buy { agent, provider, key, minor, lines } => Act::Buy { agent, provider, key, minor: minor + 1, lines },
        Act::Begin { purchase, provider, key, line, minor } => Act::Begin { purchase, provider, key, line, minor: minor + 1 },
        Act::Refund { charge, provider, key, minor } => Act::Refund { charge, provider, key, minor: minor + 1 },
        other => other,
    }
}
