//! Charges and refunds.

use super::{Bucket, Charge, Comes, GRACE_S, Hold, LineKey, Name, Oracle, RULES, Refund, State, TOTAL_MINOR, counted, month, number};
use purser_values::Timestamp;

use super::Body;

impl Oracle {
    pub(super) fn begin(&mut self, now: i64, provider: usize, key: u64, body: Body) -> String {
        let known = self.holds.contains_key(&body.0);
        if let Some(first) = self.charges.get(&(provider, key)) {
            return if (&first.body, first.known) == (&body, known) { first.state.to_owned() } else { "idempotency_key_reused".to_owned() };
        }
        let (state, line) = match self.check(now, provider, &body) {
            Ok(line) => {
                let hold = self.holds.get_mut(&body.0).unwrap();
                let taken = hold.lines.get_mut(&line).unwrap();
                (taken.state, taken.charge) = (State::Charging, Some((provider, key)));
                self.live.insert(body.0);
                ("begun", line)
            }
            Err(refusal) => (refusal, (String::new(), body.1)),
        };
        self.charges.insert((provider, key), Charge { body, known, state, line, begun_s: now, given: 0, back: 0 });
        state.to_owned()
    }

    /// The line that the charge takes. What was set aside or moved on the way goes back with a refusal.
    fn check(&mut self, now: i64, provider: usize, body: &Body) -> Result<LineKey, &'static str> {
        let purchase = body.0;
        let before = self.holds.get(&purchase).filter(|hold| hold.provider == provider).ok_or("payment_token_unknown")?.clone();
        let again = self.again.get(&purchase).copied();
        self.may_pay(now, &before)?;
        self.undo.clear();
        let outcome = self.choose(now, body);
        if outcome.is_err() {
            for (name, was) in std::mem::take(&mut self.undo).into_iter().rev() {
                match was {
                    Some(bucket) => self.buckets.insert(name, bucket),
                    None => self.buckets.remove(&name),
                };
            }
            if let Some(again) = again {
                if again.state == "waiting" {
                    self.due.insert((again.next_s, before.created_s, purchase));
                }
                self.again.insert(purchase, again);
            }
            self.holds.insert(purchase, before);
            self.look_whether_live(purchase);
        }
        outcome
    }

    /// What a token is asked before anything else.
    pub(super) fn may_pay(&self, now: i64, hold: &Hold) -> Result<(), &'static str> {
        match hold.token {
            "revoked" => Err("payment_token_revoked"),
            "spent" => Err("payment_token_spent"),
            _ if hold.token_expires_s <= now => Err("payment_token_expired"),
            _ if self.is_frozen(hold.agent) => Err("agent_frozen"),
            _ => Ok(()),
        }
    }

    fn choose(&mut self, now: i64, (purchase, line, minor, period): &Body) -> Result<LineKey, &'static str> {
        let named = |hold: &Hold| named(hold, *line, period.as_deref());
        let hold = &self.holds[purchase];
        if named(hold).is_none_or(|key| hold.lines[&key].state == State::Released) && *line == 0 {
            self.catch_up(now, *purchase);
        }
        let hold = &self.holds[purchase];
        let named = named(hold);
        let of_line = || hold.lines.iter().filter(|((_, at), _)| at == line);
        let mut open = of_line().filter(|((of, _), held)| held.state == State::Open && (period.is_none() || of.is_empty()));
        let key = named.clone().or(open.next().map(|(key, _)| key.clone())).or(of_line().next().map(|(key, _)| key.clone()));
        let key = key.ok_or("line_unknown")?;
        let held = hold.lines[&key].clone();
        match held.state {
            State::Open if hold.expires_s <= now => return Err("hold_expired"),
            State::Open => {}
            State::Charging => return Err("line_busy"),
            State::Charged if named.is_none() && period.is_some() && held.comes != Comes::Once => return Err("period_not_reserved"),
            State::Charged => return Err("line_charged"),
            State::Released => return Err("line_released"),
        }
        if *minor <= 0 {
            return Err("amount_invalid");
        }
        if *minor > held.minor {
            return Err("amount_over_line");
        }
        // Use counts where it was set aside.
        if held.comes != Comes::Metered {
            let names = self.bring_to_now(now, &held.names, counted(held.rate, held.minor))?;
            self.holds.get_mut(purchase).unwrap().lines.get_mut(&key).unwrap().names = names;
        }
        Ok(key)
    }

    fn bring_to_now(&mut self, now: i64, names: &[Name], amount: i64) -> Result<Vec<Name>, &'static str> {
        let moved = self.moved(now, names, amount)?;
        for (old, new) in names.iter().zip(&moved) {
            if Some(*old) != new.map(|(name, _)| name) {
                self.bucket(*old, 0).held -= amount;
                if let Some((name, limit)) = new {
                    self.bucket(*name, *limit).held += amount;
                }
            }
        }
        Ok(moved.into_iter().flatten().map(|(name, _)| name).collect())
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

    pub(super) fn finish(&mut self, provider: usize, key: u64, captured: bool) -> &'static str {
        let Some(charge) = self.charges.get_mut(&(provider, key)) else { return "none" };
        if charge.state != "begun" {
            return charge.state;
        }
        charge.state = if captured { "succeeded" } else { "declined" };
        let (state, purchase, minor, begun_s) = (charge.state, charge.body.0, charge.body.2, charge.begun_s);
        let hold = self.holds.get_mut(&purchase).unwrap();
        let line = hold.lines.get_mut(&charge.line).unwrap();
        if !captured {
            line.state = State::Open;
            if !hold.open {
                line.release(&mut self.buckets);
            }
            self.look_whether_live(purchase);
            return state;
        }
        line.state = State::Charged;
        for name in &line.names {
            let bucket = self.buckets.get_mut(name).unwrap();
            bucket.held -= counted(line.rate, line.minor);
            bucket.captured += counted(line.rate, minor);
        }
        self.paid += minor;
        self.succeeded.insert((begun_s, (provider, key)));
        if line.comes == Comes::Monthly {
            self.comes_again(purchase, begun_s);
        }
        self.settle(purchase);
        state
    }

    pub(super) fn refund(&mut self, provider: usize, key: u64, body: (u64, i64)) -> &'static str {
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

    pub(super) fn finish_refund(&mut self, provider: usize, key: u64, given: bool) -> &'static str {
        let Some(refund) = self.refunds.get_mut(&(provider, key)) else { return "none" };
        if refund.state != "begun" {
            return refund.state;
        }
        refund.state = if given { "succeeded" } else { "failed" };
        let (charge, minor) = refund.body;
        let charge = self.charges.get_mut(&(provider, charge)).unwrap();
        if given {
            let line = &self.holds[&charge.body.0].lines[&charge.line];
            let (before, after) = (charge.body.2 - charge.back, charge.body.2 - charge.back - minor);
            let back = counted(line.rate, before) - counted(line.rate, after);
            charge.back += minor;
            for name in &line.names {
                self.buckets.get_mut(name).unwrap().captured -= back;
            }
            self.paid -= minor;
        } else {
            charge.given -= minor;
        }
        refund.state
    }

    /// A hold that holds something again stays open at least until then.
    pub(super) fn keep_open(&mut self, purchase: u64, until_s: i64) {
        let hold = self.holds.get_mut(&purchase).unwrap();
        hold.expires_s = if hold.open { hold.expires_s.max(until_s) } else { until_s };
        hold.open = true;
        self.live.insert(purchase);
    }

    /// A period that is set aside keeps its hold open for a while after it is due.
    pub(super) fn keep_open_for_period(&mut self, purchase: u64, due_s: i64, now: i64) {
        self.keep_open(purchase, due_s.max(now) + GRACE_S);
    }
}

/// The line of the period that a charge names, or of the month after it if that waits to be charged.
fn named(hold: &Hold, line: usize, period: Option<&str>) -> Option<LineKey> {
    let period = period?;
    let own = (period.to_owned(), line);
    if hold.lines.contains_key(&own) {
        return Some(own);
    }
    let first: Timestamp = format!("{period}-01T00:00:00Z").parse().ok()?;
    let next = (first.plus_months(1).month().to_string(), line);
    let waits = hold.lines.get(&next).is_some_and(|line| line.state == State::Open && line.comes == Comes::Monthly);
    waits.then_some(next)
}
