//! What comes again and what is metered: both are set aside ahead, and charged from that alone.

use purser_values::Timestamp;

use super::{AGAIN_TOKEN_S, AHEAD_S, Again, Comes, Line, METERED, OLD_S, Oracle, State, USE_S, counted, month};
use crate::op::Named;

impl Oracle {
    /// A block of use.
    pub(super) fn put_aside(&mut self, now: i64, provider: usize, purchase: u64, block: Named, minor: i64) -> &'static str {
        let Some(hold) = self.holds.get(&purchase).filter(|hold| hold.provider == provider) else { return "payment_token_unknown" };
        if let Err(refusal) = self.may_pay(now, hold) {
            return refusal;
        }
        if !hold.lines.contains_key(&(String::new(), METERED)) {
            return "line_unknown";
        }
        let key = (block.text(), METERED);
        match hold.lines.get(&key) {
            Some(line) if line.state == State::Released => return "line_released",
            Some(line) if line.minor != minor => return "usage_block_differs",
            Some(_) => return "ok",
            None => {}
        }
        if minor <= 0 {
            return "amount_invalid";
        }
        if block.block == Some(0) {
            return "usage_blocks_too_many";
        }
        let Some(rate) = self.rate_of(purchase) else { return "currency_mismatch" };
        let of = (hold.agent, hold.provider);
        let names = match self.take(of, now, counted(rate, minor)) {
            Ok(names) => names,
            Err(full) => return full,
        };
        let line = Line { state: State::Open, minor, rate, names, comes: Comes::Metered, month_s: month(now), charge: None };
        self.holds.get_mut(&purchase).unwrap().lines.insert(key, line);
        self.keep_open(purchase, now + USE_S);
        "ok"
    }

    pub(super) fn unuse(&mut self, provider: usize, purchase: u64, block: Named) -> &'static str {
        let Some(hold) = self.holds.get_mut(&purchase).filter(|hold| hold.provider == provider) else { return "payment_token_unknown" };
        let Some(line) = hold.lines.get_mut(&(block.text(), METERED)) else { return "ok" };
        match line.state {
            State::Released => "ok",
            State::Charged => "line_charged",
            State::Charging => "line_busy",
            State::Open => {
                line.release(&mut self.buckets);
                self.settle(purchase);
                "ok"
            }
        }
    }

    pub(super) fn release_old(&mut self, now: i64) -> String {
        let (oldest, mut number) = (month(now - OLD_S), 0);
        for purchase in self.live.clone() {
            let hold = self.holds.get_mut(&purchase).unwrap();
            let old = |line: &&mut Line| line.comes == Comes::Metered && line.state == State::Open && line.month_s < oldest;
            let mut any = false;
            for line in hold.lines.values_mut().filter(old) {
                line.release(&mut self.buckets);
                (any, number) = (true, number + 1);
            }
            if any {
                self.settle(purchase);
            }
        }
        number.to_string()
    }

    /// After a charge: when it is due next, counted from the first.
    pub(super) fn comes_again(&mut self, purchase: u64, charged_s: i64) {
        let (first_s, number) = self.again.get(&purchase).map_or((charged_s, 1), |again| (again.first_s, again.number + 1));
        let next_s = Timestamp::from_secs(first_s).plus_months(number).as_secs();
        self.moves_on(purchase, Again { first_s, number, next_s, state: "waiting" });
    }

    fn moves_on(&mut self, purchase: u64, next: Again) {
        let created_s = self.holds[&purchase].created_s;
        if let Some(old) = self.again.insert(purchase, next) {
            self.due.remove(&(old.next_s, created_s, purchase));
        }
        if next.state == "waiting" {
            self.due.insert((next.next_s, created_s, purchase));
        }
    }

    /// Sets aside what is due soon, in the order in which it is. What finds no room waits for its charge.
    pub(super) fn renew(&mut self, now: i64) -> String {
        let mut number = 0;
        while let Some((due_s, _, purchase)) = self.due.first().copied().filter(|(due_s, ..)| *due_s <= now + AHEAD_S) {
            let state = if self.set_aside(now, purchase, due_s) { "reserved" } else { "refused" };
            self.moves_on(purchase, Again { state, ..self.again[&purchase] });
            number += 1;
        }
        number.to_string()
    }

    /// Tries again, now that it is charged, what was refused or not looked at in time.
    pub(super) fn catch_up(&mut self, now: i64, purchase: u64) {
        let Some(again) = self.again.get(&purchase).copied().filter(|again| again.state != "reserved" && again.next_s <= now) else {
            return;
        };
        if self.set_aside(now, purchase, again.next_s) {
            self.moves_on(purchase, Again { state: "reserved", ..again });
        }
    }

    fn set_aside(&mut self, now: i64, purchase: u64, due_s: i64) -> bool {
        let (hold, needed) = (&self.holds[&purchase], due_s.max(now));
        let works = hold.token == "active" && hold.token_expires_s > needed;
        let Some(rate) = self.rate_of(purchase).filter(|_| works && !self.is_frozen(hold.agent)) else { return false };
        let key = (Timestamp::from_secs(due_s).month().to_string(), 0);
        if hold.lines.get(&key).is_some_and(|line| line.state != State::Released) {
            return true;
        }
        let minor = hold.lines[&(String::new(), 0)].minor;
        let of = (hold.agent, hold.provider);
        let Ok(names) = self.take(of, needed, counted(rate, minor)) else { return false };
        let line = Line { state: State::Open, minor, rate, names, comes: Comes::Monthly, month_s: month(needed), charge: None };
        let hold = self.holds.get_mut(&purchase).unwrap();
        hold.lines.insert(key, line);
        hold.token_expires_s = hold.token_expires_s.max(due_s + AGAIN_TOKEN_S);
        self.keep_open_for_period(purchase, due_s, now);
        true
    }
}
