//! What may happen, as plain data: an operation is written into the log of the run in the write that it makes, so that a run which was
//! killed can be told again.

use purser_spend::calendar::Period;
use purser_spend::ceiling::Scope;
use purser_values::Timestamp;
use serde::{Deserialize, Serialize};

/// Agents of the one organisation. The second acts within the grant of the first; the third has a total.
pub const AGENTS: usize = 3;
pub const PROVIDERS: [&str; 2] = ["slipway", "other"];
/// The third agent's total, in minor units.
pub const TOTAL_MINOR: i64 = 120_000_00;
pub const FIRST_CAP_MINOR: i64 = 300_00;
/// What is metered of a subscription, by its place among the lines of the quote.
pub const METERED: usize = 9;
/// The moment of the first operation, in seconds.
const BEGIN_S: i64 = 1_795_435_200;
/// Time from one operation to the next: a hold lives for sixty of them.
const STEP_S: i64 = 60;
/// After so many operations nothing happens for a day and a half, so that subscriptions come again within the run: a month has four
/// thousand operations.
const SHIFT: u64 = 240;
const NIGHT_S: i64 = 36 * 3_600;
/// Operations of thirty days.
const MONTH: u64 = 30 * 86_400 * SHIFT / (SHIFT * 60 + 36 * 3_600);
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
        named: Option<Named>,
    },
    /// A provider sets a block of use aside.
    Use {
        purchase: u64,
        provider: usize,
        block: Named,
        minor: i64,
    },
    Unuse {
        purchase: u64,
        provider: usize,
        block: Named,
    },
    /// What comes again soon is set aside.
    Renew,
    /// Blocks of months that are long over go back.
    ReleaseOld,
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

/// The period that a charge names: a month, or a block of use in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// The month's first moment, in seconds.
    pub month_s: i64,
    pub block: Option<u32>,
}

impl Named {
    /// As providers write it.
    pub fn text(self) -> String {
        let month = Timestamp::from_secs(self.month_s).month();
        self.block.map_or_else(|| month.to_string(), |block| format!("{month}/{block}"))
    }
}

/// Whether the purchase under this key has a first line that comes again every month, and metered use beside.
pub const fn is_subscription(key: u64) -> bool {
    key % 4 == 1
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
    let kind = dice.below(134);
    (dice, kind)
}

const BUY: std::ops::Range<u64> = 0..28;
/// Of a line, of a block of use, of a further period.
const BEGIN: std::ops::Range<u64> = 28..66;
const FINISH: std::ops::Range<u64> = 66..90;
const REFUND: std::ops::Range<u64> = 94..102;
const USE: std::ops::Range<u64> = 122..129;

/// An earlier operation of a kind, not long ago; any number where there is none.
fn before(seed: u64, number: u64, dice: &mut Dice, wanted: &std::ops::Range<u64>) -> u64 {
    let from = number.saturating_sub(1 + dice.below(RECENT / 2));
    let found = (from.saturating_sub(RECENT)..=from).rev().find(|earlier| wanted.contains(&kind(seed, *earlier).1));
    found.unwrap_or(from)
}

/// A subscription that was bought at about this number, or any number where there is none.
fn subscription(seed: u64, about: u64) -> u64 {
    let is_one = |number: &u64| is_subscription(*number) && BUY.contains(&kind(seed, *number).1);
    (about.saturating_sub(4 * RECENT)..=about).rev().find(is_one).unwrap_or(about)
}

/// Those who act near to each other mostly mean the same provider.
fn near(number: u64) -> usize {
    usize::try_from(number / 64 % 2).unwrap()
}

/// Whom the operation under this number meant.
fn provider_of(seed: u64, number: u64) -> usize {
    match op(seed, number).act {
        Act::Begin { provider, .. } | Act::Refund { provider, .. } => provider,
        _ => near(number),
    }
}

/// The operation with this number. Purchases, charges and refunds go by the numbers of the operations that may have made them.
pub fn op(seed: u64, number: u64) -> Op {
    let (mut dice, kind) = kind(seed, number);
    // There is nothing yet to go on with.
    let kind = if number > RECENT { kind } else { kind % BUY.end };
    let at_s = moment(&mut dice, number);
    let another = dice.below(20) == 0;
    let meant = |provider: usize| if another { 1 - provider } else { provider };
    let act = match kind {
        0..28 => {
            let (agent, minor, lines) = (dice.index(AGENTS), 1 + dice.minor(4_00), 1 + dice.index(2));
            Act::Buy { agent, provider: meant(near(number)), key: number, minor, lines }
        }
        28..55 => {
            let purchase = before(seed, number, &mut dice, &BUY);
            let (line, minor) = (usize::from(dice.below(6) == 0), dice.minor(1_80) - 3);
            Act::Begin { purchase, provider: meant(near(purchase)), key: number, line, minor, named: None }
        }
        55..60 => charge_of_use(seed, number, &mut dice, meant),
        60..66 => charge_of_period(seed, number, &mut dice, meant),
        66..90 => {
            let charge = before(seed, number, &mut dice, &BEGIN);
            Act::Finish { charge, provider: meant(provider_of(seed, charge)), captured: dice.below(4) > 0 }
        }
        90..93 => Act::Release { purchase: before(seed, number, &mut dice, &BUY) },
        93 => Act::Expire,
        94..102 => {
            // Mostly of what was taken: nothing else can come back.
            let charge = match op(seed, before(seed, number, &mut dice, &FINISH)).act {
                Act::Finish { charge, .. } => charge,
                _ => before(seed, number, &mut dice, &BEGIN),
            };
            Act::Refund { charge, provider: meant(provider_of(seed, charge)), key: number, minor: dice.minor(90) - 3 }
        }
        102..108 => {
            let refund = before(seed, number, &mut dice, &REFUND);
            Act::FinishRefund { refund, provider: meant(provider_of(seed, refund)), given: dice.below(4) > 0 }
        }
        108..110 => Act::Cap { agent: dice.index(AGENTS), minor: dice.minor(3_000_00) },
        110..112 => rule_change(&mut dice),
        112 if dice.below(3) == 0 => Act::Rate { per_10_000: (dice.below(8) > 0).then(|| 8_000 + dice.minor(6_000)) },
        112 => Act::Freeze { agent: dice.index(AGENTS), frozen: dice.below(6) == 0 },
        // An earlier one over again: a retry, or a duplicate on its way since long; now and then with another body.
        113..122 => {
            let first = op(seed, number - 1 - dice.below(RECENT)).act;
            if dice.below(4) == 0 { another_body(first) } else { first }
        }
        122..129 => {
            let about = number.saturating_sub(if dice.below(3) == 0 { MONTH + dice.below(MONTH) } else { dice.below(RECENT) });
            let purchase = subscription(seed, about);
            let block =
                Named { month_s: month_s(at_s), block: Some(u32::try_from(dice.below(3)).unwrap() + u32::from(dice.below(20) > 0)) };
            Act::Use { purchase, provider: meant(near(purchase)), block, minor: dice.minor(1_50) - 3 }
        }
        129..131 => match op(seed, before(seed, number, &mut dice, &USE)).act {
            Act::Use { purchase, provider, block, .. } => Act::Unuse { purchase, provider, block },
            _ => Act::Expire,
        },
        131..133 => Act::Renew,
        133 => Act::ReleaseOld,
        _ => Act::Expire,
    };
    Op { at_s, act }
}

/// A charge of a block that was asked for not long ago.
fn charge_of_use(seed: u64, number: u64, dice: &mut Dice, meant: impl Fn(usize) -> usize) -> Act {
    let used = before(seed, number, dice, &USE);
    let Act::Use { purchase, block, .. } = op(seed, used).act else { return Act::Expire };
    let named = (dice.below(8) > 0).then_some(block);
    Act::Begin { purchase, provider: meant(near(purchase)), key: number, line: METERED, minor: dice.minor(1_00) - 1, named }
}

/// A charge of a subscription for the month in which it comes again for the first, second or third time, or for the month before or after.
fn charge_of_period(seed: u64, number: u64, dice: &mut Dice, meant: impl Fn(usize) -> usize) -> Act {
    let months = 1 + dice.below(3);
    let about = (number + MONTH / 10).saturating_sub(months * MONTH + dice.below(MONTH / 3));
    let purchase = subscription(seed, about);
    let off = [0, 0, 0, 0, 0, 0, -1, 1][dice.index(8)];
    let due = Timestamp::from_secs(plain_moment(purchase)).plus_months(i32::try_from(months).unwrap() + off);
    let named = Some(Named { month_s: month_s(due.as_secs()), block: None });
    Act::Begin { purchase, provider: meant(near(purchase)), key: number, line: 0, minor: dice.minor(1_80) - 3, named }
}

fn month_s(at_s: i64) -> i64 {
    Timestamp::from_secs(at_s).month().start().as_secs()
}

fn rule_change(dice: &mut Dice) -> Act {
    let rule = dice.index(RULES.len());
    let most = match RULES[rule].2 {
        Period::Transaction => 30_00,
        Period::Day => 1_000_00,
        Period::Week => 4_000_00,
        Period::Month => 12_000_00,
        Period::Lifetime => 1_000_000_00,
    };
    // What counts for ever is rarely taken away: a new one counts all that ever was.
    let keeps = if RULES[rule].2 == Period::Lifetime { dice.below(20) > 0 } else { dice.below(3) > 0 };
    Act::Ceiling { rule, minor: keeps.then(|| dice.minor(most)) }
}

/// Clocks run on, and now and then jump to and fro by up to two days.
fn moment(dice: &mut Dice, number: u64) -> i64 {
    let jump = if dice.below(60) == 0 { dice.minor(4 * 86_400) - 2 * 86_400 } else { 0 };
    plain_moment(number) + jump
}

fn plain_moment(number: u64) -> i64 {
    BEGIN_S + i64::try_from(number).unwrap() * STEP_S + i64::try_from(number / SHIFT).unwrap() * NIGHT_S
}

fn another_body(act: Act) -> Act {
    match act {
        Act::Buy { agent, provider, key, minor, lines } => Act::Buy { agent, provider, key, minor: minor + 1, lines },
        Act::Begin { purchase, provider, key, line, minor, named } => Act::Begin { purchase, provider, key, line, minor: minor + 1, named },
        Act::Use { purchase, provider, block, minor } => Act::Use { purchase, provider, block, minor: minor + 1 },
        Act::Refund { charge, provider, key, minor } => Act::Refund { charge, provider, key, minor: minor + 1 },
        other => other,
    }
}
