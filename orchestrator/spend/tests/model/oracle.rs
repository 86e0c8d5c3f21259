//! The same rules told a second time, naively: plain maps, no ledger, no SQL, whole numbers. What it answers is what must be answered.

use std::collections::{BTreeMap, BTreeSet};

use purser_spend::calendar::Period;
use purser_values::Timestamp;

use super::op::{AGENTS, Act, DEVIATION_BP, FIRST_CAP_MINOR, Op, RULES, TOTAL_MINOR, is_in_euros};

const HOLD_LIFE_S: i64 = 3600;

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
enum Line {
    Open,
    Charging,
    Charged,
    Released,
}

#[derive(Clone, Debug)]
struct Hold {
    agent: usize,
    provider: usize,
    minor: i64,
    /// What a euro was when it was set aside; a dollar is a dollar.
    rate: i64,
    lines: Vec<(Line, i64, Vec<Name>)>,
    expires_s: i64,
    open: bool,
    token: &'static str,
}

#[derive(Clone, Debug)]
struct Charge {
    body: (u64, usize, i64),
    /// Whether there was such a purchase; before, the charge came with another token.
    known: bool,
    state: &'static str,
    line: usize,
    /// What is promised back, and what came back of that.
    given: i64,
    begun_s: i64,
    back: i64,
}

#[derive(Clone, Debug)]
struct Refund {
    body: (u64, i64),
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
    /// What was paid and did not come back.
    pub paid: i64,
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
            paid: 0,
        }
    }

    /// The answer that the operation must get.
    pub fn tell(&mut self, op: &Op) -> String {
        let now = op.at_s;
        match &op.act {
            Act::Buy { agent, provider, key, minor, lines } => self.buy(now, (*agent, *provider, *minor, *lines), *key).to_owned(),
            Act::Begin { purchase, provider, key, line, minor } => self.begin(now, *provider, *key, (*purchase, *line, *minor)),
            Act::Finish { charge, provider, captured } => self.finish(*provider, *charge, *captured).to_owned(),
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

    fn buy(&mut self, now: i64, (agent, provider, minor, lines): (usize, usize, i64, usize), key: u64) -> &'static str {
        if let Some(first) = self.holds.get(&key).filter(|first| first.agent == agent) {
            let same = first.provider == provider && first.minor == minor && first.lines.len() == lines;
            return if same { "ok" } else { "idempotency_key_reused" };
        }
        if Self::chain(agent).iter().any(|agent| self.frozen.contains(agent)) {
            return "agent_frozen";
        }
        let rate = match (is_in_euros(key), self.rate) {
            (false, _) => Some(DOLLAR),
            (true, rate) => rate,
        };
        // The first place that it would count in says so: an agent's cap.
        let Some(rate) = rate else { return "cap_currency" };
        let sum = counted(rate, minor) * i64::try_from(lines).unwrap();
        let mut names: Vec<(Name, i64)> =
            Self::chain(agent).into_iter().map(|payer| (Name::Book(payer, provider, month(now)), self.caps[payer])).collect();
        if agent == 2 {
            names.push((Name::Total(2), TOTAL_MINOR));
        }
        for (rule, limit) in self.rules_in_order(provider) {
            match RULES[rule].2 {
                Period::Transaction if sum > limit => names.push((Name::Window(rule, -1), limit)),
                Period::Transaction => {}
                period => names.push((Name::Window(rule, number(period, now)), limit)),
            }
        }
        for (name, limit) in &names {
            let bucket = self.buckets.get(name).copied().unwrap_or(Bucket { limit: *limit, ..Bucket::default() });
            if bucket.held + bucket.captured + sum > bucket.limit || matches!(name, Name::Window(_, -1)) {
                return match name {
                    Name::Book(..) => "cap_reached",
                    Name::Total(_) => "total_reached",
                    Name::Window(..) => "ceiling_reached",
                };
            }
        }
        for (name, limit) in &names {
            self.buckets.entry(*name).or_insert(Bucket { limit: *limit, ..Bucket::default() }).held += sum;
        }
        let names: Vec<Name> = names.into_iter().map(|(name, _)| name).collect();
        let lines = vec![(Line::Open, minor, names); lines];
        self.holds.insert(key, Hold { agent, provider, minor, rate, lines, expires_s: now + HOLD_LIFE_S, open: true, token: "active" });
        "ok"
    }

    /// The rules that a purchase at the provider counts in, as they are looked at.
    fn rules_in_order(&self, provider: usize) -> Vec<(usize, i64)> {
        (0..RULES.len()).filter(|rule| *rule != 3 || provider == 0).filter_map(|rule| Some((rule, self.rules[rule]?))).collect()
    }

    fn begin(&mut self, now: i64, provider: usize, key: u64, body: (u64, usize, i64)) -> String {
        let known = self.holds.contains_key(&body.0);
        if let Some(first) = self.charges.get(&(provider, key)) {
            return if (first.body, first.known) == (body, known) { first.state.to_owned() } else { "idempotency_key_reused".to_owned() };
        }
        let (purchase, line, minor) = body;
        let refusal = self.check(now, provider, purchase, line, minor).err();
        let state = refusal.unwrap_or("begun");
        if refusal.is_none() {
            self.holds.get_mut(&purchase).unwrap().lines[line].0 = Line::Charging;
        }
        self.charges.insert((provider, key), Charge { body, known, state, line, given: 0, back: 0, begun_s: now });
        state.to_owned()
    }

    fn check(&mut self, now: i64, provider: usize, purchase: u64, line: usize, minor: i64) -> Result<(), &'static str> {
        let hold = self.holds.get(&purchase).filter(|hold| hold.provider == provider).ok_or("payment_token_unknown")?.clone();
        match hold.token {
            "revoked" => return Err("payment_token_revoked"),
            "spent" => return Err("payment_token_spent"),
            _ if hold.expires_s <= now => return Err("payment_token_expired"),
            _ => {}
        }
        if Self::chain(hold.agent).iter().any(|agent| self.frozen.contains(agent)) {
            return Err("agent_frozen");
        }
        let (state, amount, names) = hold.lines.get(line).ok_or("line_unknown")?;
        match state {
            Line::Open => {}
            Line::Charging => return Err("line_busy"),
            Line::Charged => return Err("line_charged"),
            Line::Released => return Err("line_released"),
        }
        if minor <= 0 {
            return Err("amount_invalid");
        }
        if minor > *amount {
            return Err("amount_over_line");
        }
        let amount = &counted(hold.rate, *amount);
        let moved = self.moved(now, names, *amount)?;
        for (old, new) in names.iter().zip(&moved) {
            if Some(*old) != new.map(|(name, _)| name) {
                self.buckets.get_mut(old).unwrap().held -= amount;
                if let Some((name, limit)) = new {
                    self.buckets.entry(*name).or_insert(Bucket { limit: *limit, ..Bucket::default() }).held += amount;
                }
            }
        }
        let names = moved.into_iter().flatten().map(|(name, _)| name).collect();
        self.holds.get_mut(&purchase).unwrap().lines[line].2 = names;
        Ok(())
    }

    /// Where a line counts at this moment: each old place with its new one, nothing where the ceiling was taken away since.
    fn moved(&self, now: i64, names: &[Name], amount: i64) -> Result<Vec<Option<(Name, i64)>>, &'static str> {
        let mut moved = Vec::new();
        for name in names {
            let (new, limit) = match *name {
                Name::Book(_, _, held) if held > month(now) => return Err("period_not_due"),
                Name::Book(agent, provider, _) => (Name::Book(agent, provider, month(now)), self.caps[agent]),
                Name::Total(agent) => (Name::Total(agent), TOTAL_MINOR),
                Name::Window(rule, _) => match self.rules[rule] {
                    Some(limit) => (Name::Window(rule, number(RULES[rule].2, now)), limit),
                    None => {
                        moved.push(None);
                        continue;
                    }
                },
            };
            let bucket = self.buckets.get(&new).copied().unwrap_or(Bucket { limit, ..Bucket::default() });
            if new != *name && bucket.held + bucket.captured + amount > bucket.limit {
                return Err(if matches!(new, Name::Window(..)) { "ceiling_reached" } else { "cap_reached" });
            }
            moved.push(Some((new, limit)));
        }
        Ok(moved)
    }

    fn finish(&mut self, provider: usize, key: u64, captured: bool) -> &'static str {
        let Some(charge) = self.charges.get_mut(&(provider, key)) else { return "none" };
        if charge.state != "begun" {
            return charge.state;
        }
        charge.state = if captured { "succeeded" } else { "declined" };
        let (state, line, minor) = (charge.state, charge.line, charge.body.2);
        let hold = self.holds.get_mut(&charge.body.0).unwrap();
        let (_, amount, names) = hold.lines[line].clone();
        let (amount, taken) = (counted(hold.rate, amount), counted(hold.rate, minor));
        let now = match (captured, hold.open) {
            (true, _) => Line::Charged,
            (false, true) => Line::Open,
            (false, false) => Line::Released,
        };
        hold.lines[line].0 = now;
        for name in names {
            let bucket = self.buckets.get_mut(&name).unwrap();
            if now != Line::Open {
                bucket.held -= amount;
            }
            if captured {
                bucket.captured += taken;
            }
        }
        if captured {
            self.paid += minor;
            if hold.lines.iter().all(|(state, ..)| !matches!(state, Line::Open | Line::Charging)) {
                hold.open = false;
                if hold.token == "active" {
                    hold.token = "spent";
                }
            }
        }
        state
    }

    fn give_back(&mut self, purchase: u64) {
        let hold = self.holds.get_mut(&purchase).unwrap();
        for (state, amount, names) in &mut hold.lines {
            if *state == Line::Open {
                *state = Line::Released;
                for name in names {
                    self.buckets.get_mut(name).unwrap().held -= counted(hold.rate, *amount);
                }
            }
        }
        hold.open = false;
        if hold.token == "active" {
            hold.token = "revoked";
        }
    }

    fn release(&mut self, purchase: u64) -> &'static str {
        if !self.holds.contains_key(&purchase) {
            return "none";
        }
        self.give_back(purchase);
        "ok"
    }

    fn expire(&mut self, now: i64) -> String {
        let due: Vec<u64> = self.holds.iter().filter(|(_, hold)| hold.open && hold.expires_s <= now).map(|(key, _)| *key).collect();
        for key in &due {
            self.give_back(*key);
        }
        format!("{}", due.len())
    }

    fn refund(&mut self, provider: usize, key: u64, body: (u64, i64)) -> &'static str {
        if let Some(first) = self.refunds.get(&(provider, key)) {
            return if first.body == body { first.state } else { "idempotency_key_reused" };
        }
        let Some(charge) = self.charges.get_mut(&(provider, body.0)) else { return "none" };
        if charge.state != "succeeded" {
            return "charge_not_captured";
        }
        if body.1 <= 0 {
            return "amount_invalid";
        }
        if charge.given + body.1 > charge.body.2 {
            return "refund_over_charge";
        }
        charge.given += body.1;
        self.refunds.insert((provider, key), Refund { body, state: "begun" });
        "begun"
    }

    fn finish_refund(&mut self, provider: usize, key: u64, given: bool) -> &'static str {
        let Some(refund) = self.refunds.get_mut(&(provider, key)) else { return "none" };
        if refund.state != "begun" {
            return refund.state;
        }
        refund.state = if given { "succeeded" } else { "failed" };
        let (charge, minor) = refund.body;
        let charge = self.charges.get_mut(&(provider, charge)).unwrap();
        if given {
            let hold = &self.holds[&charge.body.0];
            let (before, after) = (charge.body.2 - charge.back, charge.body.2 - charge.back - minor);
            let back = counted(hold.rate, before) - counted(hold.rate, after);
            charge.back += minor;
            for name in &hold.lines[charge.line].2 {
                self.buckets.get_mut(name).unwrap().captured -= back;
            }
            self.paid -= minor;
        } else {
            charge.given -= minor;
        }
        refund.state
    }

    fn cap(&mut self, now: i64, agent: usize, minor: i64) -> &'static str {
        self.caps[agent] = minor;
        for (name, bucket) in &mut self.buckets {
            if matches!(name, Name::Book(of, _, of_month) if *of == agent && *of_month >= month(now)) {
                bucket.limit = minor;
            }
        }
        "ok"
    }

    fn ceiling(&mut self, now: i64, rule: usize, minor: Option<i64>) -> &'static str {
        let is_new = self.rules[rule].is_none();
        self.rules[rule] = minor;
        for (name, bucket) in &mut self.buckets {
            if let (Name::Window(of, which), Some(minor)) = (name, minor)
                && *of == rule
                && *which >= number(RULES[rule].2, now)
            {
                bucket.limit = minor;
            }
        }
        if let (true, Some(limit)) = (is_new, minor) {
            self.take_over(now, rule, limit);
        }
        "ok"
    }

    /// A new ceiling counts what is set aside now, and what was charged in the running period and did not come back.
    fn take_over(&mut self, now: i64, rule: usize, limit: i64) {
        let period = RULES[rule].2;
        if period == Period::Transaction {
            return;
        }
        let target = Name::Window(rule, number(period, now));
        for (key, hold) in self.holds.iter_mut().filter(|(_, hold)| rule != 3 || hold.provider == 0) {
            for (n, (state, amount, names)) in hold.lines.iter_mut().enumerate() {
                if names.contains(&target) || *state == Line::Released {
                    continue;
                }
                let mut fresh = Bucket { limit, ..Bucket::default() };
                if *state == Line::Charged {
                    let taken =
                        |(_, charge): &(&(usize, u64), &Charge)| (charge.state, charge.body.0, charge.line) == ("succeeded", *key, n);
                    let ((_, id), charge) = self.charges.iter().find(taken).unwrap();
                    if number(period, charge.begun_s) != number(period, now) {
                        continue;
                    }
                    let back = self
                        .refunds
                        .iter()
                        .filter(|((at, _), refund)| (*at, refund.body.0, refund.state) == (hold.provider, *id, "succeeded"));
                    let kept = charge.body.2 - back.map(|(_, refund)| refund.body.1).sum::<i64>();
                    fresh.captured = counted(hold.rate, kept);
                } else {
                    let amount = counted(hold.rate, *amount);
                    for old in names.extract_if(.., |name| matches!(name, Name::Window(of, _) if *of == rule)) {
                        self.buckets.get_mut(&old).unwrap().held -= amount;
                    }
                    fresh.held = amount;
                }
                let bucket = self.buckets.entry(target).or_insert(Bucket { limit, ..Bucket::default() });
                bucket.held += fresh.held;
                bucket.captured += fresh.captured;
                names.push(target);
            }
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
