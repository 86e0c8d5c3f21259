//! Acts that come too fast: how many of one kind, by one subject, within a window.
//!
//! Campaigns work by number: many sign-ups behind one orchestrator, many names bought by one person, many hosts of one
//! family of names. The caller counts what its own tables hold and asks; nothing is remembered in here, so a restart
//! forgets nothing. The default table is for a small provider; an operator brings a table of its own.
//!
//! Not for the rate of requests: that belongs to the edge and to the API, and is measured in seconds.

use serde::{Deserialize, Serialize};

use crate::verdict::{Action, Reason, Score, Sign, Verdict};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// A new account.
    SignUp,
    /// A domain registered.
    Domain,
    /// A host name that starts to answer.
    Host,
}

/// By whom, as the record knows them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// An orchestrator, whoever its people are.
    Orchestrator,
    /// One person, by the name that the orchestrator gives them.
    Person,
    /// One agent.
    Agent,
    /// One stem of names (see [`crate::names::stem`]), whoever owns them.
    Family,
}

/// At most `allowed` acts within any `window_s` seconds; from the next one on, `action`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Rule {
    pub act: Act,
    pub by: By,
    pub allowed: u32,
    pub window_s: i64,
    pub action: Action,
}

const fn rule(act: Act, by: By, allowed: u32, window_s: i64, action: Action) -> Rule {
    Rule { act, by, allowed, window_s, action }
}

/// The default table. A refusal ends by itself when the window has passed; a review waits for a person.
pub const RULES: [Rule; 14] = [
    rule(Act::SignUp, By::Orchestrator, 200, HOUR, Action::Block),
    rule(Act::SignUp, By::Orchestrator, 1_000, DAY, Action::Block),
    rule(Act::SignUp, By::Person, 3, HOUR, Action::Block),
    rule(Act::SignUp, By::Person, 10, DAY, Action::Block),
    rule(Act::Domain, By::Orchestrator, 500, DAY, Action::Review),
    rule(Act::Domain, By::Person, 10, HOUR, Action::Review),
    rule(Act::Domain, By::Person, 30, DAY, Action::Review),
    rule(Act::Domain, By::Agent, 10, HOUR, Action::Review),
    rule(Act::Host, By::Orchestrator, 2_000, HOUR, Action::Review),
    rule(Act::Host, By::Person, 60, HOUR, Action::Review),
    rule(Act::Host, By::Person, 200, DAY, Action::Review),
    rule(Act::Host, By::Agent, 60, HOUR, Action::Review),
    rule(Act::Host, By::Family, 20, DAY, Action::Review),
    rule(Act::Domain, By::Family, 10, DAY, Action::Review),
];

/// A table of rules. Pure: counts come in, a verdict goes out.
#[derive(Clone, Debug)]
pub struct Velocity {
    rules: Vec<Rule>,
}

impl Default for Velocity {
    fn default() -> Self {
        Self { rules: RULES.to_vec() }
    }
}

impl Velocity {
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// The default table with so many times the acts: for an operator with more customers, and for a machine of one's own.
    #[must_use]
    pub fn times(pace: u32) -> Self {
        let rules = RULES.iter().map(|rule| Rule { allowed: rule.allowed.saturating_mul(pace.max(1)), ..*rule });
        Self { rules: rules.collect() }
    }

    /// The rules that count this act by this subject: what the caller has to count.
    pub fn rules(&self, act: Act, by: By) -> impl Iterator<Item = &Rule> {
        self.rules.iter().filter(move |rule| rule.act == act && rule.by == by)
    }

    /// Whether one more is allowed. `seen` answers how many there were within the rule's window, the one at hand not
    /// among them; counting and acting belong in one write, or two that race both pass.
    pub fn judge(&self, act: Act, by: By, mut seen: impl FnMut(&Rule) -> u64) -> Verdict {
        let mut reasons = Vec::new();
        let mut nearest = 0;
        for rule in self.rules(act, by) {
            let count = seen(rule);
            if count < u64::from(rule.allowed) {
                nearest = nearest.max(thousandths(count, rule.allowed));
                continue;
            }
            reasons.push(Reason {
                sign: Sign::TooFast,
                action: rule.action,
                score: Score::CERTAIN,
                words: format!(
                    "{} {} already in {} by this {}, and {} are allowed",
                    count,
                    plural(act),
                    span(rule.window_s),
                    who(by),
                    rule.allowed
                ),
                place: None,
            });
        }
        if reasons.is_empty() { Verdict::pass(Score::from_thousandths(nearest)) } else { Verdict::of(reasons, None) }
    }
}

/// Below a thousand whenever `count` is below `allowed`.
fn thousandths(count: u64, allowed: u32) -> u16 {
    let share = count.saturating_mul(1_000) / u64::from(allowed.max(1));
    u16::try_from(share.min(999)).unwrap_or(999)
}

const fn plural(act: Act) -> &'static str {
    match act {
        Act::SignUp => "accounts opened",
        Act::Domain => "domains registered",
        Act::Host => "hosts put online",
    }
}

const fn who(by: By) -> &'static str {
    match by {
        By::Orchestrator => "orchestrator",
        By::Person => "person",
        By::Agent => "agent",
        By::Family => "family of names",
    }
}

fn span(seconds: i64) -> String {
    match seconds {
        DAY => "a day".to_owned(),
        HOUR => "an hour".to_owned(),
        other => format!("{other} seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_allowed_act_passes_and_the_next_one_does_not() {
        let velocity = Velocity::new(vec![rule(Act::Domain, By::Person, 3, HOUR, Action::Review)]);
        assert!(velocity.judge(Act::Domain, By::Person, |_| 2).passes());
        let held = velocity.judge(Act::Domain, By::Person, |_| 3);
        assert_eq!(held.action, Action::Review);
        assert_eq!(held.words(), "3 domains registered already in an hour by this person, and 3 are allowed");
    }

    #[test]
    fn each_window_is_counted_for_itself_and_the_strictest_answer_wins() {
        let velocity = Velocity::new(vec![
            rule(Act::SignUp, By::Person, 3, HOUR, Action::Review),
            rule(Act::SignUp, By::Person, 10, DAY, Action::Block),
        ]);
        let slow = |rule: &Rule| if rule.window_s == DAY { 10 } else { 0 };
        assert_eq!(velocity.judge(Act::SignUp, By::Person, slow).action, Action::Block);
        assert_eq!(velocity.judge(Act::SignUp, By::Person, |_| 100).reasons.len(), 2);
        assert!(velocity.judge(Act::SignUp, By::Orchestrator, |_| 100).passes(), "no rule, no opinion");
    }

    #[test]
    fn a_pass_says_how_near_it_came_and_never_reaches_certainty() {
        let velocity = Velocity::default();
        let near = velocity.judge(Act::Host, By::Person, |rule| u64::from(rule.allowed) - 1);
        assert!(near.passes() && near.score > Score::from_thousandths(900) && near.score < Score::CERTAIN);
    }
}
