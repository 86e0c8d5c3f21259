//! What every detector answers: what to do, how sure, why, and whom the thing imitates.

use serde::{Deserialize, Serialize};

/// What to do with what was judged. Ordered: the strictest finding wins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing stands against it.
    Pass,
    /// Held until a person looked. The usual answer to a suspicion: detectors of names alone are wrong too often.
    Review,
    /// Refused. Only detectors that were measured at 0.1 % false alarms or less may say so.
    Block,
}

/// How sure, in thousandths. Scores of one detector can be compared with each other; those of two cannot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Score(u16);

impl Score {
    pub const ZERO: Self = Self(0);
    pub const CERTAIN: Self = Self(1000);

    /// Anything above a thousand counts as a thousand.
    #[must_use]
    pub const fn from_thousandths(thousandths: u16) -> Self {
        Self(if thousandths > 1000 { 1000 } else { thousandths })
    }

    #[must_use]
    pub const fn thousandths(self) -> u16 {
        self.0
    }
}

/// What was seen. A stable word for tables, statistics and appeals; the sentence beside it is for people.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// Reads like a protected name once look-alike characters are folded.
    LookAlike,
    /// One keystroke away from a protected name.
    Typo,
    /// Is a protected name, and the buyer was not verified as its owner.
    ProtectedName,
    /// A protected name together with a word that phishing names carry.
    Lure,
    /// Letters of several alphabets in one label.
    MixedScripts,
    /// Resembles names that were reported before.
    Learned,
    /// A form for credentials that are sent to somebody else.
    CredentialForm,
    /// A page under a protected name, with a form for credentials, on a host that is not its owner's.
    BrandPage,
    /// Asks for the words that own a wallet.
    WalletSecret,
    /// Re-creates content that was taken down.
    KnownContent,
    /// A page that hides itself from those who read it.
    Concealed,
    /// A demand for ransom.
    RansomNote,
    /// More acts in a window than are allowed.
    TooFast,
}

/// One finding.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reason {
    pub sign: Sign,
    pub action: Action,
    pub score: Score,
    /// A sentence for the buyer and for the reviewer: lower case, no full stop.
    pub words: String,
    /// Which file, for content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// The answer of a detector.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The strictest action among the reasons.
    pub action: Action,
    /// The highest score among the reasons of that action; for a pass, how near it came.
    pub score: Score,
    /// Strictest first.
    pub reasons: Vec<Reason>,
    /// The protected name or the known content that is imitated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Verdict {
    #[must_use]
    pub const fn pass(score: Score) -> Self {
        Self { action: Action::Pass, score, reasons: Vec::new(), target: None }
    }

    /// INVARIANT (says-why): anything but a pass carries at least one reason.
    #[must_use]
    pub fn of(mut reasons: Vec<Reason>, target: Option<String>) -> Self {
        reasons.sort_by(|a, b| (b.action, b.score, a.sign, &a.place).cmp(&(a.action, a.score, b.sign, &b.place)));
        match reasons.first() {
            None => Self { target, ..Self::pass(Score::ZERO) },
            Some(first) => Self { action: first.action, score: first.score, reasons, target },
        }
    }

    #[must_use]
    pub fn passes(&self) -> bool {
        self.action == Action::Pass
    }

    /// Both findings in one answer, as when a site's name and its files are judged together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let target = self.target.or(other.target);
        let nearest = self.score.max(other.score);
        let joined = Self::of(self.reasons.into_iter().chain(other.reasons).collect(), target);
        if joined.reasons.is_empty() { Self { score: nearest, ..joined } } else { joined }
    }

    /// The reasons as one sentence, for a message.
    #[must_use]
    pub fn words(&self) -> String {
        self.reasons.iter().map(|reason| reason.words.as_str()).collect::<Vec<_>>().join("; ")
    }
}
