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

    /// Judges a host name that is given to somebody: `chosen` is the part that they chose, label by label, and `below` what it stands
    /// under, where that is a name of theirs, too. Each label is judged as a project's name; all together by rules alone, so that what is
    /// harmless in pieces (`pay` below `pal-login`) is seen as a whole.
    #[must_use]
    pub fn judge_host(&self, chosen: &str, below: Option<&str>) -> Verdict {
        let project = Context::stranger(Kind::Project);
        let labels: Vec<&str> = chosen.split('.').filter(|label| !label.is_empty() && *label != "*").collect();
        let each = labels.iter().map(|label| self.judge(label, project)).reduce(Verdict::and);
        let Some(each) = each else { return Verdict::pass(Score::ZERO) };
        // a name that was let pass although it carries somebody else's is not held again with every host below it
        let below = below.filter(|name| self.judge_by_rules(name, project).passes());
        let whole: Vec<&str> = labels.iter().copied().chain(below).collect();
        if whole.len() < 2 { each } else { each.and(self.judge_by_rules(&whole.join("-"), project)) }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_judged_label_by_label_and_as_a_whole() {
        let names = Names::default();
        for (chosen, below) in [
            ("dropbox", None),
            ("www.netflix", Some("quiet-harbour")),
            ("secure.drop-box", Some("quiet-harbour")),
            ("pay", Some("pal-login")),
            ("login.eu", Some("netflix-quiet")),
        ] {
            assert!(!names.judge_host(chosen, below).passes(), "`{chosen}` below {below:?}");
        }
        // the last was let pass when it was bought, with a look at what it carries
        for (chosen, below) in [("", Some("quiet-harbour")), ("*", None), ("api.eu", Some("quiet-harbour")), ("www", Some("paypal-login"))]
        {
            assert!(names.judge_host(chosen, below).passes(), "`{chosen}` below {below:?}");
        }
    }
}
