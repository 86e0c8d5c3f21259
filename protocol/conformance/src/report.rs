//! What a run found.

use std::fmt::Write as _;

use purser_values::Timestamp;
use serde::Serialize;
use url::Url;

use crate::table;

/// How binding a check is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Level {
    /// Every source agrees.
    M,
    /// Most sources agree.
    S,
    /// Which dialect it is.
    I,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Pass,
    /// A check of level S, or a lesser part of one of level M, does not hold.
    Warn,
    /// A check of level M does not hold.
    Fail,
    /// A fact for the record.
    Info,
    /// The check could not be made; the evidence says why.
    Skip,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The number in section 14 of the reference.
    pub number: u16,
    pub level: Level,
    pub sentence: &'static str,
    pub verdict: Verdict,
    pub evidence: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    pub base_url: Url,
    pub started_at: Timestamp,
    /// No check of level M failed and at least one passed.
    pub ok: bool,
    pub passed: usize,
    pub warned: usize,
    pub failed: usize,
    pub skipped: usize,
    pub checks: Vec<Check>,
}

impl Report {
    pub(crate) fn new(base_url: Url, started_at: Timestamp, mut checks: Vec<Check>) -> Self {
        checks.sort_by_key(|check| check.number);
        let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
        let (passed, failed) = (count(Verdict::Pass), count(Verdict::Fail));
        let (warned, skipped) = (count(Verdict::Warn), count(Verdict::Skip));
        Self { base_url, started_at, ok: failed == 0 && passed > 0, passed, warned, failed, skipped, checks }
    }

    pub(crate) fn unstarted(base_url: Url, started_at: Timestamp, why: &str) -> Self {
        let skipped = |&(number, level, sentence): &(u16, Level, &'static str)| Check {
            number,
            level,
            sentence,
            verdict: Verdict::Skip,
            evidence: why.to_owned(),
        };
        Self::new(base_url, started_at, table::CHECKS.iter().map(skipped).collect())
    }

    #[must_use]
    pub fn check(&self, number: u16) -> Option<&Check> {
        self.checks.iter().find(|check| check.number == number)
    }

    /// The numbers of the checks with this verdict.
    #[must_use]
    pub fn numbers(&self, verdict: Verdict) -> Vec<u16> {
        self.checks.iter().filter(|check| check.verdict == verdict).map(|check| check.number).collect()
    }

    /// One line for each check, and a last line with the sums.
    #[must_use]
    pub fn render_text(&self) -> String {
        let mut out = format!("conformance of {} (APP {})\n", self.base_url, purser_wire::VERSION);
        for check in &self.checks {
            let verdict = match check.verdict {
                Verdict::Pass => "pass",
                Verdict::Warn => "WARN",
                Verdict::Fail => "FAIL",
                Verdict::Info => "info",
                Verdict::Skip => "skip",
            };
            // writing to a `String` does not fail
            let _ = write!(out, "{verdict}  {:>2} {:?}  {}", check.number, check.level, check.sentence);
            if !check.evidence.is_empty() {
                let _ = write!(out, "\n            {}", check.evidence);
            }
            out.push('\n');
        }
        let Self { passed, warned, failed, skipped, .. } = self;
        let _ = writeln!(out, "{passed} passed, {warned} warnings, {failed} failed, {skipped} skipped");
        out
    }
}
