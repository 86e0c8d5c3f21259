//! Adds up the `test result:` lines of all suites into one closing line.

use std::fmt;

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    passed: u64,
    failed: u64,
}

impl Summary {
    /// Counts a line if it closes a suite.
    pub fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ") else { return };
        for part in counts.split(['.', ';']) {
            let mut words = part.split_whitespace();
            let (Some(Ok(count)), Some(what), None) = (words.next().map(str::parse::<u64>), words.next(), words.next()) else { continue };
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                _ => {}
            }
        }
    }

    pub fn is_green(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    pub fn ran_nothing(&self) -> bool {
        self.failed + self.passed == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_added_up_and_other_lines_are_not_counted() {
        let mut summary = Summary::default();
        for line in [
            "running 3 tests",
            "test a ... ok",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.03s",
            "the page says: 7 passed; 7 failed",
            "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s",
        ] {
            summary.add(line);
        }
        assert_eq!(summary.to_string(), "14 passed, 3 failed");
        assert!(!summary.is_green());
    }

    #[test]
    fn a_run_without_a_test_is_not_green() {
        assert!(!Summary::default().is_green() && Summary::default().ran_nothing());
    }
}
