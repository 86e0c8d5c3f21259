//! The same rules told a second time, naively: plain maps, no ledger, no SQL, whole numbers. What it answers is what must be answered.

#[path = "oracle/again.rs"]
mod again;
#[path = "oracle/charge.rs"]
mod charge;
#[path = "oracle/rules.rs"]
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use purser_spend::calendar::Period;
use purser_values::Timestamp;

use super::op::{AGENTS, Act, DEVIATION_BP, FIRST_CAP_MINOR, METERED, Op, RULES, TOTAL_MINOR, is_in_euros, is_subscription};

const HOLD_LIFE_S: i64 = 3_600;
const DAY_S: i64 = 86_400;
/// What comes again: how long its token lives, when it is set aside, and how long it stays so.
const AGAIN_TOKEN_S: i64 = 400 * DAY_S;
const AHEAD_S: i64 = 3 * DAY_S;
const GRACE_S: i64 = 7 * DAY_S;
/// Blocks of use: how long they keep their hold open, and when those of an old month go back.
const USE_S: i64 = 40 * DAY_S;
const OLD_S: i64 = 60 * DAY_S;

/// One account that purchases count in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    pub limit: i64,
    pub held: i64,
    pub captured: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Name {
    /// Agent, provider, the month's first moment in seconds.
    Book(usize, usize, i64),
    Total(usize),
    /// Rule, and the number of its day, week or month.
    Window(usize, i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Charging,
    Charged,
    Released,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comes {
    Once,
    Monthly,
    Metered,
}

#[derive(Clone, Debug)]
struct Line {
    state: State,
    minor: i64,
    /// What a euro was when it was set aside; a dollar is a dollar.
    rate: i64,
    names: Vec<Name>,
    comes: Comes,
    /// The month in which it was set aside.
    month_s: i64,
    /// The charge that took it.
    charge: Option<(usize, u64)>,
}

/// A period, empty for the first, and the place in the quote.
type LineKey = (String, usize);

#[derive(Clone, Debug)]
struct Hold {
    agent: usize,
    provider: usize,
    minor: i64,
    /// Lines of the quote, without what is metered.
    bought: usize,
    lines: BTreeMap<LineKey, Line>,
    created_s: i64,
    expires_s: i64,
    open: bool,
    token: &'static str,
    token_expires_s: i64,
}

/// Purchase, line, amount, and the period that it names.
type Body = (u64, usize, i64, Option<String>);

#[derive(Clone, Debug)]
struct Charge {
    body: Body,
    /// Whether there was such a purchase; before, the charge came with another token.
    known: bool,
    state: &'static str,
    /// The line that it takes.
    line: LineKey,
    begun_s: i64,
    /// What is promised back, and what came back of that.
    given: i64,
    back: i64,
}

#[derive(Clone, Debug)]
struct Refund {
    body: (u64, i64),
    state: &'static str,
}

/// When a subscription comes again.
#[derive(Clone, Copy, Debug)]
struct Again {
    first_s: i64,
    number: i32,
    next_s: i64,
    state: &'static str,
}

#[derive(Clone, Debug)]
pub struct Oracle {
    pub buckets: BTreeMap<Name, Bucket>,
    caps: [i64; AGENTS],
    rules: [Option<i64>; RULES.len()],
    frozen: BTreeSet<usize>,
    rate: Option<i64>,
    holds: BTreeMap<u64, Hold>,
    charges: BTreeMap<(usize, u64), Charge>,
    refunds: BTreeMap<(usize, u64), Refund>,
    again: BTreeMap<u64, Again>,
    /// What was paid and did not come back.
    pub paid: i64,
    /// Purchases that hold something: open ones, and those of which a line is being charged. What is told of all holds is told of these
    /// and of what was charged, so that a long run does not read its whole past again and again.
    live: BTreeSet<u64>,
    /// Charges that succeeded, by when they were begun.
    succeeded: BTreeSet<(i64, (usize, u64))>,
    /// What comes again and waits to be set aside: when, and the purchase with its moment.
    due: BTreeSet<(i64, i64, u64)>,
    /// What the buckets were before the charge that is being looked at.
    undo: Vec<(Name, Option<Bucket>)>,
}

impl Oracle {
    pub fn new() -> Self {
        Self {
            buckets: BTreeMap::new(),
            caps: [FIRST_CAP_MINOR; AGENTS],
            rules: [None; RULES.len()],
            frozen: BTreeSet::new(),
            rate: None,
            holds: BTreeMap::new(),
            charges: BTreeMap::new(),
            refunds: BTreeMap::new(),
            again: BTreeMap::new(),
            paid: 0,
            live: BTreeSet::new(),
            succeeded: BTreeSet::new(),
            due: BTreeSet::new(),
            undo: Vec::new(),
        }
    }

    /// The answer that the operation must get.
    pub fn tell(&mut self, op: &Op) -> String {
        let now = op.at_s;
        self.undo.clear();
        match &op.act {
            Act::Buy { agent, provider, key, minor, lines } => self.buy(now, (*agent, *provider, *minor, *lines), *key).to_owned(),
            Act::Begin { purchase, provider, key, line, minor, named } => {
                self.begin(now, *provider, *key, (*purchase, *line, *minor, named.map(super::op::Named::text)))
            }
            Act::Finish { charge, provider, captured } => self.finish(*provider, *charge, *captured).to_owned(),
            Act::Use { purchase, provider, block, minor } => self.put_aside(now, *provider, *purchase, *block, *minor).to_owned(),
            Act::Unuse { purchase, provider, block } => self.unuse(*provider, *purchase, *block).to_owned(),
            Act::Renew => self.renew(now),
            Act::ReleaseOld => self.release_old(now),
            Act::Release { purchase } => self.release(*purchase).to_owned(),
            Act::Expire => self.expire(now),
            Act::Refund { charge, provider, key, minor } => self.refund(*provider, *key, (*charge, *minor)).to_owned(),
            Act::FinishRefund { refund, provider, given } => self.finish_refund(*provider, *refund, *given).to_owned(),
            Act::Cap { agent, minor } => self.cap(now, *agent, *minor).to_owned(),
            Act::Ceiling { rule, minor } => self.ceiling(now, *rule, *minor).to_owned(),
            Act::Rate { per_10_000 } => {
                self.rate = *per_10_000;
                "ok".to_owned()
            }
            Act::Freeze { agent, frozen } => {
                if *frozen {
                    self.frozen.insert(*agent)
                } else {
                    self.frozen.remove(agent)
                };
                "ok".to_owned()
            }
        }
    }

    /// Whether a charge is for less than its line holds.
    pub fn is_in_part(&self, act: &Act) -> bool {
        let Act::Begin { purchase, minor, .. } = act else { return false };
        self.holds.get(purchase).is_some_and(|hold| *minor < hold.minor)
    }

    fn chain(agent: usize) -> Vec<usize> {
        if agent == 1 { vec![1, 0] } else { vec![agent] }
    }

    fn is_frozen(&self, agent: usize) -> bool {
        Self::chain(agent).iter().any(|agent| self.frozen.contains(agent))
    }

    /// What an amount under this key counts by now; nothing where no rate is stated.
    fn rate_of(&self, key: u64) -> Option<i64> {
        if is_in_euros(key) { self.rate } else { Some(DOLLAR) }
    }

    fn buy(&mut self, now: i64, (agent, provider, minor, lines): (usize, usize, i64, usize), key: u64) -> &'static str {
        if let Some(first) = self.holds.get(&key).filter(|first| first.agent == agent) {
            let same = first.provider == provider && first.minor == minor && first.bought == lines;
            return if same { "ok" } else { "idempotency_key_reused" };
        }
        if self.is_frozen(agent) {
            return "agent_frozen";
        }
        // The first place that it would count in says so: an agent's cap.
        let Some(rate) = self.rate_of(key) else { return "cap_currency" };
        let sum = counted(rate, minor) * i64::try_from(lines).unwrap();
        let names = match self.take((agent, provider), now, sum) {
            Ok(names) => names,
            Err(full) => return full,
        };
        let month_s = month(now);
        let line = |comes| Line { state: State::Open, minor, rate, names: names.clone(), comes, month_s, charge: None };
        let comes = |at| if at == 0 && is_subscription(key) { Comes::Monthly } else { Comes::Once };
        let mut all: BTreeMap<LineKey, Line> = (0..lines).map(|at| ((String::new(), at), line(comes(at)))).collect();
        if is_subscription(key) {
            // There is nothing to charge until use is set aside.
            all.insert((String::new(), METERED), Line { state: State::Charged, minor: 0, ..line(Comes::Metered) });
        }
        let expires_s = now + HOLD_LIFE_S;
        let token_expires_s = if is_subscription(key) { now + AGAIN_TOKEN_S } else { expires_s };
        let hold = Hold {
            agent,
            provider,
            minor,
            bought: lines,
            lines: all,
            created_s: now,
            expires_s,
            open: true,
            token: "active",
            token_expires_s,
        };
        self.holds.insert(key, hold);
        self.live.insert(key);
        "ok"
    }

    /// Takes room of all that a purchase counts in at the moment, or says what has none.
    fn take(&mut self, (agent, provider): (usize, usize), at: i64, sum: i64) -> Result<Vec<Name>, &'static str> {
        let mut names: Vec<(Name, i64)> =
            Self::chain(agent).into_iter().map(|payer| (Name::Book(payer, provider, month(at)), self.caps[payer])).collect();
        if agent == 2 {
            names.push((Name::Total(2), TOTAL_MINOR));
        }
        for (rule, limit) in self.rules_in_order(provider) {
            match RULES[rule].2 {
                Period::Transaction if sum > limit => names.push((Name::Window(rule, -1), limit)),
                Period::Transaction => {}
                period => names.push((Name::Window(rule, number(period, at)), limit)),
            }
        }
        for (name, limit) in &names {
            let bucket = self.buckets.get(name).copied().unwrap_or(Bucket { limit: *limit, ..Bucket::default() });
            if bucket.held + bucket.captured + sum > bucket.limit || matches!(name, Name::Window(_, -1)) {
                return Err(match name {
                    Name::Book(..) => "cap_reached",
                    Name::Total(_) => "total_reached",
                    Name::Window(..) => "ceiling_reached",
                });
            }
        }
        for (name, limit) in &names {
            self.bucket(*name, *limit).held += sum;
        }
        Ok(names.into_iter().map(|(name, _)| name).collect())
    }

    /// The bucket, which is there from its first use; what it was before can be had back.
    fn bucket(&mut self, name: Name, limit: i64) -> &mut Bucket {
        self.undo.push((name, self.buckets.get(&name).copied()));
        self.buckets.entry(name).or_insert(Bucket { limit, ..Bucket::default() })
    }

    /// The rules that a purchase at the provider counts in, as they are looked at.
    fn rules_in_order(&self, provider: usize) -> Vec<(usize, i64)> {
        (0..RULES.len()).filter(|rule| *rule != 3 || provider == 0).filter_map(|rule| Some((rule, self.rules[rule]?))).collect()
    }

    /// Gives back what is open of a purchase.
    fn give_back(&mut self, purchase: u64) {
        let hold = self.holds.get_mut(&purchase).unwrap();
        for line in hold.lines.values_mut().filter(|line| line.state == State::Open) {
            line.release(&mut self.buckets);
        }
        hold.open = false;
        self.look_whether_live(purchase);
    }

    /// A purchase of which nothing is left to charge is over; a token of what comes again lives on.
    fn settle(&mut self, purchase: u64) {
        let hold = self.holds.get_mut(&purchase).unwrap();
        if hold.lines.values().all(|line| !matches!(line.state, State::Open | State::Charging)) {
            hold.open = false;
            if hold.token == "active" && hold.lines.values().all(|line| line.comes == Comes::Once) {
                hold.token = "spent";
            }
        }
        self.look_whether_live(purchase);
    }

    fn look_whether_live(&mut self, purchase: u64) {
        let hold = &self.holds[&purchase];
        if hold.open || hold.lines.values().any(|line| line.state == State::Charging) {
            self.live.insert(purchase);
        } else {
            assert!(hold.lines.values().all(|line| line.state != State::Open), "nothing is held by what is over");
            self.live.remove(&purchase);
        }
    }

    fn revoke(&mut self, purchase: u64) {
        let hold = self.holds.get_mut(&purchase).unwrap();
        if hold.token == "active" {
            hold.token = "revoked";
        }
    }

    fn release(&mut self, purchase: u64) -> &'static str {
        if !self.holds.contains_key(&purchase) {
            return "none";
        }
        self.give_back(purchase);
        self.revoke(purchase);
        "ok"
    }

    fn expire(&mut self, now: i64) -> String {
        let over = |key: &u64| Some(&self.holds[key]).is_some_and(|hold| hold.open && hold.expires_s <= now);
        let all: Vec<u64> = self.live.iter().copied().filter(over).collect();
        for key in &all {
            self.give_back(*key);
            match self.again.get_mut(key) {
                // It can be paid later, once there is room again.
                Some(again) if again.state == "reserved" => again.state = "refused",
                Some(_) => {}
                None => self.revoke(*key),
            }
        }
        all.len().to_string()
    }
}

impl Line {
    fn release(&mut self, buckets: &mut BTreeMap<Name, Bucket>) {
        self.state = State::Released;
        for name in &self.names {
            buckets.get_mut(name).unwrap().held -= counted(self.rate, self.minor);
        }
    }
}

/// The rate of what needs none.
const DOLLAR: i64 = 0;

/// What an amount counts in dollars: at the rate in ten-thousandths and what it may be dearer, rounded up to the cent.
fn counted(rate: i64, minor: i64) -> i64 {
    if rate == DOLLAR {
        return minor;
    }
    let exact = i128::from(minor) * i128::from(rate) * i128::from(10_000 + DEVIATION_BP);
    let cents = exact / 100_000_000;
    i64::try_from(if exact % 100_000_000 > 0 { cents + 1 } else { cents }).unwrap()
}

/// The first moment of the month that holds the moment, in seconds.
fn month(at_s: i64) -> i64 {
    Timestamp::from_secs(at_s).month().start().as_secs()
}

/// Days and weeks are counted from the epoch, which was a Thursday.
fn number(period: Period, at_s: i64) -> i64 {
    let day = at_s.div_euclid(86_400);
    match period {
        Period::Day => day,
        Period::Week => (day + 3).div_euclid(7),
        Period::Month => month(at_s),
        Period::Transaction | Period::Lifetime => 0,
    }
}

/// The first moment of the period that holds the moment, and the first after it, in seconds.
fn span(period: Period, at_s: i64) -> (i64, i64) {
    let day = at_s.div_euclid(DAY_S) * DAY_S;
    match period {
        Period::Day => (day, day + DAY_S),
        Period::Week => {
            let monday = number(Period::Week, at_s) * 7 * DAY_S - 3 * DAY_S;
            (monday, monday + 7 * DAY_S)
        }
        Period::Month => (month(at_s), Timestamp::from_secs(at_s).month().end().as_secs()),
        Period::Transaction | Period::Lifetime => (0, i64::MAX),
    }
}
