//! What persons change: caps and ceilings.

use std::ops::Bound;

use purser_spend::calendar::Period;

use super::{Bucket, Comes, Line, LineKey, Name, Oracle, RULES, State, counted, month, number, span};

impl Oracle {
    pub(super) fn cap(&mut self, now: i64, agent: usize, minor: i64) -> &'static str {
        self.caps[agent] = minor;
        for (name, bucket) in &mut self.buckets {
            if matches!(name, Name::Book(of, _, of_month) if *of == agent && *of_month >= month(now)) {
                bucket.limit = minor;
            }
        }
        "ok"
    }

    pub(super) fn ceiling(&mut self, now: i64, rule: usize, minor: Option<i64>) -> &'static str {
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
        let concerns = |provider: usize| rule != 3 || provider == 0;
        let (from, to) = span(period, now);
        for purchase in self.live.clone() {
            let due = self.again.get(&purchase).filter(|again| again.state == "reserved").map_or(now, |again| again.next_s);
            let hold = &self.holds[&purchase];
            let held = |state| matches!(state, State::Open | State::Charging);
            if !concerns(hold.provider) {
                continue;
            }
            let lines: Vec<(LineKey, Line)> =
                hold.lines.iter().filter(|(_, line)| held(line.state)).map(|(key, line)| (key.clone(), line.clone())).collect();
            for (key, line) in lines {
                // Use of an earlier month counts there.
                if line.comes == Comes::Metered && line.month_s < month(from) {
                    continue;
                }
                let at = if line.comes == Comes::Monthly && !key.0.is_empty() { due.max(now) } else { now };
                self.counts_in(purchase, &key, Name::Window(rule, number(period, at)), limit);
            }
        }
        let begun = (Bound::Included((from, (0, 0))), Bound::Excluded((to, (0, 0))));
        let charged: Vec<(usize, u64)> = self.succeeded.range(begun).map(|(_, charge)| *charge).collect();
        for id in charged.into_iter().filter(|(provider, _)| concerns(*provider)) {
            let charge = &self.charges[&id];
            let (purchase, key) = (charge.body.0, charge.line.clone());
            let line = &self.holds[&purchase].lines[&key];
            if line.comes != Comes::Metered || line.month_s >= month(from) {
                self.counts_in(purchase, &key, Name::Window(rule, number(period, now)), limit);
            }
        }
    }

    /// Once, however often the ceiling is set.
    fn counts_in(&mut self, purchase: u64, key: &LineKey, target: Name, limit: i64) {
        let line = self.holds.get_mut(&purchase).unwrap().lines.get_mut(key).unwrap();
        // The window is there from now on, whatever counts in it.
        let bucket = self.buckets.entry(target).or_insert(Bucket { limit, ..Bucket::default() });
        if line.names.contains(&target) {
            return;
        }
        if line.state == State::Charged {
            let charge = &self.charges[&line.charge.unwrap()];
            bucket.captured += counted(line.rate, charge.body.2 - charge.back);
        } else {
            let amount = counted(line.rate, line.minor);
            bucket.held += amount;
            let Name::Window(rule, _) = target else { return };
            for old in line.names.extract_if(.., |name| matches!(name, Name::Window(of, _) if *of == rule)) {
                self.buckets.get_mut(&old).unwrap().held -= amount;
            }
        }
        line.names.push(target);
    }
}
