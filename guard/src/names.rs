//! Names that resemble others' names: registrable domains and project names on shared hosting.
//!
//! Two detectors look at the label alone, never at the suffix. The rules know protected names and what imitators do to
//! them: look-alike characters, one keystroke, a lure word beside the name. The learned one knows what names looked
//! like that were reported before. INVARIANT (hold-not-refuse): a rule refuses only when it was measured at 0.1 % false
//! alarms or less on ordinary names; everything else asks for a person's review.
//!
//! It does not know who owns a name: the caller says which protected names were verified as the buyer's.

mod brands;
mod fold;
mod label;
pub mod learned;
mod rules;

use crate::verdict::{Action, Reason, Score, Sign, Verdict};

pub use brands::Brands;
pub use label::stem;

pub(crate) use fold::latin as fold_latin;

use label::Label;
use learned::Model;

/// What kind of name it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A domain that is bought: `example.com`, or its label alone.
    Domain,
    /// A project's name on shared hosting: `example`, or `example.pages.dev`.
    Project,
}

/// What is known about the buyer and the name.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    pub kind: Kind,
    /// Protected names that were verified as the buyer's own, lower case: these raise nothing.
    pub owned: &'a [&'a str],
}

impl Context<'_> {
    /// Nothing is known about the buyer.
    #[must_use]
    pub const fn stranger(kind: Kind) -> Self {
        Self { kind, owned: &[] }
    }
}

/// The detector of names, with the names that it protects. Make it once: it is a table.
#[derive(Clone, Debug)]
pub struct Names {
    brands: Brands,
}

impl Default for Names {
    fn default() -> Self {
        Self::protecting(Brands::shipped())
    }
}

impl Names {
    #[must_use]
    pub const fn protecting(brands: Brands) -> Self {
        Self { brands }
    }

    #[must_use]
    pub const fn brands(&self) -> &Brands {
        &self.brands
    }

    /// Judges a name. Never fails: what is not a name at all is for the caller's parser to refuse.
    #[must_use]
    pub fn judge(&self, name: &str, context: Context<'_>) -> Verdict {
        let label = Label::of(name, context.kind);
        let (reasons, target) = rules::find(&label, &self.brands, &context);
        let by_rules = Verdict::of(reasons, target);
        // what is learned knows no owners: a name that carries the buyer's own would remind it of imitations
        if context.owned.iter().any(|owned| label.words.iter().any(|word| word == owned) || label.plain == *owned) {
            return by_rules;
        }
        by_rules.and(learned(&label, context.kind))
    }

    /// The rules alone, for measuring them.
    #[must_use]
    pub fn judge_by_rules(&self, name: &str, context: Context<'_>) -> Verdict {
        let (reasons, target) = rules::find(&Label::of(name, context.kind), &self.brands, &context);
        Verdict::of(reasons, target)
    }
}

/// What the learned detector says.
fn learned(label: &Label, kind: Kind) -> Verdict {
    let model = Model::shipped();
    let margin = model.margin_of(&label.shown);
    let thresholds = model.thresholds(kind);
    let score = score(margin, thresholds.review);
    let action = match margin {
        _ if margin >= thresholds.block => Action::Block,
        _ if margin >= thresholds.review => Action::Review,
        _ => return Verdict::pass(score),
    };
    let words = format!("`{}` resembles names that were reported for phishing", label.shown);
    Verdict::of(vec![Reason { sign: Sign::Learned, action, score, words, place: None }], None)
}

/// Half of the scale is where reviews begin.
fn score(margin: i32, review: i32) -> Score {
    /// Margins on one thousandth.
    const STEP: i64 = 4;
    let thousandths = 500 + (i64::from(margin) - i64::from(review)) / STEP;
    Score::from_thousandths(u16::try_from(thousandths.clamp(0, 1000)).unwrap_or(0))
}
