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

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use purser_values::id::{AgentId, GrantId, OrganisationId};
use purser_values::name::ProviderName;
use purser_values::{Currency, Money, Month, Timestamp};

use crate::book::Book;
use crate::calendar::Period;
use crate::ceiling::{Facts, Place, Rule, Scope, Window};
use crate::pot::Pot;
use crate::rate::{NoRate, Rate, Rates};
use crate::total::Total;

pub(crate) use load::{Question, place};

/// What a purchase counts against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need<'a> {
    pub facts: Facts<'a>,
    /// The moment whose month, week and day it counts in.
    pub at: Timestamp,
    pub reach: Reach,
    /// What the money is in.
    pub currency: Currency,
    /// The rates that it counts by already; they come before those in force.
    pub kept: &'a [Rate],
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
    /// It is in another currency, and nobody has stated a rate.
    Currency(Ceiling),
    /// The rate that was stated is not in force.
    Rate(Box<Rate>),
    /// With what is left, in minor units.
    Reached(Ceiling, i64),
    /// One purchase is more than a ceiling allows for each.
    Purchase(Rule),
    /// That ceiling is in another currency, and nobody has stated a rate.
    PurchaseCurrency(Rule),
}

/// What was taken, besides the room itself.
#[derive(Debug, Default)]
pub(crate) struct Taking {
    /// The windows of the ceilings that it counts in.
    pub windows: Vec<Window>,
    /// The rates that it counts by, one for each currency that is not its own.
    pub rates: Vec<Rate>,
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
    /// What counts in another currency; empty where nothing does.
    rates: Rates,
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
    /// Takes room for the parts in all that apply, and says what they count in; or the first that has none, and takes nothing.
    /// Each part counts by itself, as it is charged by itself.
    pub fn take(&mut self, need: &Need<'_>, parts: &[Money], subject: &str) -> Result<Taking, Full> {
        let (mut full, mut found, mut rates) = (self.stop(need), Vec::new(), Vec::new());
        for met in self.met(need) {
            match self.fits(&met, need, parts) {
                Err(e) => {
                    full = Some(e);
                    break;
                }
                Ok(Fit { minor, rate }) => {
                    rates.extend(rate);
                    found.extend(met.slot().map(|slot| (slot, minor)));
                }
            }
        }
        if let Some(full) = full {
            return Err(full);
        }
        let mut taking = Taking::default();
        for rate in rates {
            if !taking.rates.iter().any(|known: &Rate| known.to == rate.to) {
                taking.rates.push(rate);
            }
        }
        for (slot, minor) in found {
            self.slots[slot].left -= minor;
            self.taken.push(Taken { slot, minor, subject: subject.to_owned() });
            if let Ceiling::Window(window) = &self.slots[slot].ceiling {
                taking.windows.push(window.clone());
            }
        }
        Ok(taking)
    }

    /// Everything that has no room for the parts, in the order in which it would refuse.
    pub fn against(&self, need: &Need<'_>, parts: &[Money]) -> Vec<Full> {
        self.stop(need).into_iter().chain(self.met(need).iter().filter_map(|met| self.fits(met, need, parts).err())).collect()
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
        for rule in self.rules_of(need) {
            met.push(self.windows.get(&window_key(rule, need)).map_or(Met::Purchase(rule), |slot| Met::Slot(*slot)));
        }
        met
    }

    /// The ceilings that apply, in the order in which they refuse.
    fn rules_of(&self, need: &Need<'_>) -> Vec<&Rule> {
        let key = |(of, scope, subject): Place<'_>| (of.clone(), scope, subject.into_owned());
        let mut rules: Vec<&Rule> = need.rules().into_iter().filter_map(|place| self.rules.get(&key(place))).flatten().collect();
        rules.sort_by(|a, b| a.order().cmp(&b.order()));
        rules
    }

    fn stop(&self, need: &Need<'_>) -> Option<Full> {
        let is_stopped = !self.stopped.is_empty() && (self.stopped.contains("") || self.stopped.contains(need.currency.code()));
        is_stopped.then_some(Full::Stopped)
    }

    fn fits(&self, met: &Met<'_>, need: &Need<'_>, parts: &[Money]) -> Result<Fit, Full> {
        match met {
            Met::Nothing => Err(Full::NoCap),
            Met::Purchase(rule) => {
                let fit = self.counted(need, parts, rule.amount.currency(), || Full::PurchaseCurrency((*rule).clone()))?;
                if rule.amount.minor() >= fit.minor { Ok(fit) } else { Err(Full::Purchase((*rule).clone())) }
            }
            Met::Slot(slot) => {
                let Slot { ceiling, left, .. } = &self.slots[*slot];
                let fit = self.counted(need, parts, ceiling.currency(), || Full::Currency(ceiling.clone()))?;
                if *left < fit.minor { Err(Full::Reached(ceiling.clone(), *left)) } else { Ok(fit) }
            }
        }
    }

    /// What the parts count in a ceiling's currency, or why they do not. What does not fit a number passes every ceiling.
    fn counted(&self, need: &Need<'_>, parts: &[Money], to: Currency, unknown: impl FnOnce() -> Full) -> Result<Fit, Full> {
        let sum =
            |of: &dyn Fn(Money) -> Option<i64>| parts.iter().try_fold(0_i64, |sum, part| sum.checked_add(of(*part)?)).unwrap_or(i64::MAX);
        if to == need.currency {
            return Ok(Fit { minor: sum(&|part| Some(part.minor())), rate: None });
        }
        let rate = match need.kept.iter().find(|rate| rate.to == to) {
            Some(rate) => rate,
            None => self.rates.at(need.facts.organisation, need.currency, to, need.at).map_err(|why| match why {
                NoRate::Missing => unknown(),
                NoRate::NotInForce(rate) => Full::Rate(rate),
            })?,
        };
        Ok(Fit { minor: sum(&|part| rate.counted(part).ok().map(Money::minor)), rate: Some(rate.clone()) })
    }
}

/// What a purchase takes of one ceiling, in the ceiling's minor unit.
struct Fit {
    minor: i64,
    rate: Option<Rate>,
}

impl Met<'_> {
    const fn slot(&self) -> Option<usize> {
        if let Self::Slot(slot) = self { Some(*slot) } else { None }
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
    fn rules(&self) -> BTreeSet<Place<'a>> {
        let Facts { organisation, project, environment, provider, categories, shares } = self.facts;
        let mut all = vec![
            (Scope::Organisation, Cow::Borrowed(organisation.as_str())),
            (Scope::Project, Cow::Borrowed(project.as_str())),
            (Scope::Provider, Cow::Borrowed(provider.as_str())),
        ];
        all.extend(environment.map(|environment| (Scope::Environment, Cow::Owned(format!("{project}/{environment}")))));
        all.extend(categories.iter().map(|category| (Scope::Category, Cow::Borrowed(category.as_str()))));
        for share in shares {
            all.extend([(Scope::Agent, Cow::Borrowed(share.agent.as_str())), (Scope::Grant, Cow::Borrowed(share.grant.as_str()))]);
        }
        all.into_iter().map(|(scope, subject)| (organisation, scope, subject)).collect()
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
