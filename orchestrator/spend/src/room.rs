//! The room that purchases take: every ceiling that a batch of them meets is read together, decided on in memory in the order in
//! which they came, and written together.
//!
//! This is the one place where the rules about ceilings are applied: to a purchase, to a renewal, to money that moves to a later
//! month, and to the question what would stand against a purchase.
//!
//! INVARIANT (cap, chain-pays, ceiling): a purchase takes room in all ceilings that apply to it or in none. What is decided on was
//! read in this very write, its rows locked in one order, and the statement that takes the room checks it once more.

mod load;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use purser_values::id::{AgentId, GrantId, OrganisationId};
use purser_values::name::ProviderName;
use purser_values::{Money, Month, Timestamp};

use crate::book::Book;
use crate::calendar::Period;
use crate::ceiling::{Facts, Rule, Scope, Window};
use crate::pot::Pot;
use crate::total::Total;

pub(crate) use load::place;

/// What a purchase counts against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need<'a> {
    pub facts: Facts<'a>,
    /// The moment whose month, week and day it counts in.
    pub at: Timestamp,
    pub reach: Reach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The month's books, the totals of the grants and the ceilings.
    All,
    /// The month's books only: for money that moves from one month to another, which the others hold already.
    Month,
}

/// One ceiling that a purchase counts against.
#[derive(Clone, Debug)]
pub(crate) enum Ceiling {
    Month(Book),
    Life(Total),
    Window(Window),
}

/// Why there is no room.
#[derive(Clone, Debug)]
pub(crate) enum Full {
    /// The books in this currency do not add up, and nobody has looked yet.
    Stopped,
    /// Nobody has set a cap for an agent of the chain.
    NoCap,
    Currency(Ceiling),
    /// With what is left, in minor units.
    Reached(Ceiling, i64),
    /// One purchase is more than a ceiling allows for each, or in another currency.
    Purchase(Rule),
}

/// Everything that the needs of one write meet.
#[derive(Debug, Default)]
pub(crate) struct Room {
    slots: Vec<Slot>,
    books: BTreeMap<BookKey, Option<usize>>,
    totals: BTreeMap<GrantId, usize>,
    rules: BTreeMap<RuleKey, Vec<Rule>>,
    /// For each rule that adds up over time, and the moment it is looked at, its window.
    windows: BTreeMap<WindowKey, usize>,
    taken: Vec<Taken>,
    /// Currencies in which nothing is set aside for now ([`crate::reconcile`]).
    stopped: BTreeSet<String>,
}

type BookKey = (AgentId, ProviderName, Month, OrganisationId);
type RuleKey = (OrganisationId, Scope, String);
type WindowKey = (OrganisationId, Scope, String, Period, Timestamp);

#[derive(Debug)]
struct Slot {
    ceiling: Ceiling,
    /// Nobody has used it before: it is written down with its first purchase.
    is_new: bool,
    /// What is left, with what this write has taken so far.
    left: i64,
}

#[derive(Debug)]
struct Taken {
    slot: usize,
    minor: i64,
    /// The id of what it was taken for.
    subject: String,
}

/// A ceiling that applies, as the rules are gone through.
enum Met<'a> {
    Nothing,
    Slot(usize),
    Purchase(&'a Rule),
}

impl Room {
    /// Takes room for the amount in all that apply, and answers the windows of the ceilings; or the first that has none, and takes nothing.
    pub fn take(&mut self, need: &Need<'_>, amount: Money, subject: &str) -> Result<Vec<Window>, Full> {
        let mut full = self.stop(amount);
        let mut slots = Vec::new();
        for met in self.met(need) {
            match (self.fits(&met, amount), met) {
                (Err(e), _) => {
                    full = Some(e);
                    break;
                }
                (Ok(()), Met::Slot(slot)) => slots.push(slot),
                (Ok(()), _) => {}
            }
        }
        if let Some(full) = full {
            return Err(full);
        }
        let mut windows = Vec::new();
        for slot in slots {
            self.slots[slot].left -= amount.minor();
            self.taken.push(Taken { slot, minor: amount.minor(), subject: subject.to_owned() });
            if let Ceiling::Window(window) = &self.slots[slot].ceiling {
                windows.push(window.clone());
            }
        }
        Ok(windows)
    }

    /// Everything that has no room for the amount, in the order in which it would refuse.
    pub fn against(&self, need: &Need<'_>, amount: Money) -> Vec<Full> {
        self.stop(amount).into_iter().chain(self.met(need).iter().filter_map(|met| self.fits(met, amount).err())).collect()
    }

    /// What applies, in the order in which it refuses: the caps of the month, the totals, the ceilings. Each of them once.
    fn met(&self, need: &Need<'_>) -> Vec<Met<'_>> {
        let mut met = Vec::new();
        for key in need.books() {
            met.push(self.books.get(&key).copied().flatten().map_or(Met::Nothing, Met::Slot));
        }
        if need.reach == Reach::Month {
            return met;
        }
        met.extend(need.totals().filter_map(|(grant, _)| self.totals.get(grant)).map(|slot| Met::Slot(*slot)));
        if self.rules.is_empty() {
            return met;
        }
        let mut rules: Vec<&Rule> = need.rules().iter().filter_map(|key| self.rules.get(key)).flatten().collect();
        rules.sort_by(|a, b| a.order().cmp(&b.order()));
        for rule in rules {
            met.push(self.windows.get(&window_key(rule, need)).map_or(Met::Purchase(rule), |slot| Met::Slot(*slot)));
        }
        met
    }

    fn stop(&self, amount: Money) -> Option<Full> {
        let is_stopped = !self.stopped.is_empty() && (self.stopped.contains("") || self.stopped.contains(amount.currency().code()));
        is_stopped.then_some(Full::Stopped)
    }

    fn fits(&self, met: &Met<'_>, amount: Money) -> Result<(), Full> {
        match met {
            Met::Nothing => Err(Full::NoCap),
            Met::Purchase(rule) => {
                let fits = rule.amount.currency() == amount.currency() && rule.amount.minor() >= amount.minor();
                if fits { Ok(()) } else { Err(Full::Purchase((*rule).clone())) }
            }
            Met::Slot(slot) => {
                let Slot { ceiling, left, .. } = &self.slots[*slot];
                if ceiling.currency() != amount.currency() {
                    Err(Full::Currency(ceiling.clone()))
                } else if *left < amount.minor() {
                    Err(Full::Reached(ceiling.clone(), *left))
                } else {
                    Ok(())
                }
            }
        }
    }
}

fn window_key(rule: &Rule, need: &Need<'_>) -> WindowKey {
    (rule.organisation.clone(), rule.scope, rule.subject.clone(), rule.period, need.at)
}

impl<'a> Need<'a> {
    /// The books, the buyer's first.
    fn books(&self) -> impl Iterator<Item = BookKey> + use<'a> {
        let (facts, month) = (self.facts, self.at.month());
        facts.shares.iter().map(move |share| (share.agent.clone(), facts.provider.clone(), month, facts.organisation.clone()))
    }

    /// The grants that have a total.
    fn totals(&self) -> impl Iterator<Item = (&'a GrantId, Money)> + use<'a> {
        self.facts.shares.iter().filter_map(|share| share.total.map(|total| (&share.grant, total)))
    }

    /// Where a ceiling of this purchase would stand; each place once.
    fn rules(&self) -> Vec<RuleKey> {
        let Facts { organisation, project, environment, provider, categories, shares } = self.facts;
        let mut all = vec![
            (Scope::Organisation, organisation.to_string()),
            (Scope::Project, project.to_string()),
            (Scope::Provider, provider.to_string()),
        ];
        all.extend(environment.map(|environment| (Scope::Environment, format!("{project}/{environment}"))));
        all.extend(categories.iter().map(|category| (Scope::Category, category.clone())));
        for share in shares {
            all.extend([(Scope::Agent, share.agent.to_string()), (Scope::Grant, share.grant.to_string())]);
        }
        all.sort_unstable();
        all.dedup();
        all.into_iter().map(|(scope, subject)| (organisation.clone(), scope, subject)).collect()
    }
}

impl Pot for Ceiling {
    fn account(&self, part: &str) -> String {
        match self {
            Self::Month(book) => book.account(part),
            Self::Life(total) => total.account(part),
            Self::Window(window) => window.account(part),
        }
    }

    fn ceiling(&self) -> Money {
        match self {
            Self::Month(book) => book.ceiling(),
            Self::Life(total) => total.ceiling(),
            Self::Window(window) => window.ceiling(),
        }
    }
}
