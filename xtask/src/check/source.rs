//! Rules for source files: how long, how laid out, and what library code never does.

use crate::check::{Document, Finding};
use crate::crates::slashes;

const MAX_LINES: usize = 700;

/// What library code never does outside its tests, and why. Split so that this file does not find itself.
const NEVER: [(&str, &str); 4] = [
    (concat!("thread::", "sleep("), "waits by the clock; wait for the event, or take the time from `Env`"),
    (concat!("todo", "!("), "is unfinished"),
    (concat!("unimplemented", "!("), "is unfinished"),
    (concat!("dbg", "!("), "prints for debugging"),
];

const IGNORED_TEST: &str = concat!("#[", "ignore");

pub fn check(documents: &[Document]) -> Vec<Finding> {
    documents.iter().filter(|document| document.has_extension("rs")).flat_map(check_one).collect()
}

fn check_one(document: &Document) -> Vec<Finding> {
    let mut findings = Vec::new();
    let path = slashes(&document.path);
    let lines = document.text.lines().count();
    if lines > MAX_LINES {
        findings.push(Finding::new(&path, format!("has {lines} lines; split it, {MAX_LINES} is the most")));
    }
    // beside integration tests a `support.rs` would be a suite of its own
    if path.ends_with("/mod.rs") && !path.contains("/tests/") {
        findings.push(Finding::new(&path, "write `foo.rs` beside `foo/`, not `foo/mod.rs`"));
    }
    for (number, line) in document.text.lines().enumerate() {
        if line.trim_start().starts_with(IGNORED_TEST) {
            findings.push(Finding::at(&document.path, number, "switches a test off; a test runs or is deleted"));
        }
    }
    if is_library(&path) {
        for (number, line) in library_lines(&document.text) {
            for (pattern, why) in NEVER.iter().filter(|(pattern, _)| line.contains(pattern)) {
                findings.push(Finding::at(&document.path, number, format!("`{pattern}` {why}")));
            }
        }
    }
    findings
}

/// Code that ships: not the front door, not tests, not what only tests use.
fn is_library(path: &str) -> bool {
    let not = ["xtask/", "tests/", "bench/"];
    let parts = ["/tests/", "/testing/", "/benches/", "/examples/"];
    let files = ["/tests.rs", "/testing.rs"];
    !not.iter().any(|prefix| path.starts_with(prefix))
        && !parts.iter().any(|part| path.contains(part))
        && !files.iter().any(|file| path.ends_with(file))
}

/// The lines outside `#[cfg(test)]` modules, without comments. Relies on the formatter: a module ends with a brace at the
/// indentation it began with.
fn library_lines(text: &str) -> Vec<(usize, &str)> {
    let mut kept = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let indentation = line.len() - line.trim_start().len();
            let end = format!("{}}}", " ".repeat(indentation));
            let Some((_, item)) = lines.next() else { break };
            if item.trim_end().ends_with('{') {
                lines.by_ref().find(|(_, line)| *line == end);
            }
            continue;
        }
        let code = line.split("//").next().unwrap_or_default();
        if !code.trim().is_empty() {
            kept.push((number, code));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{document, said};

    #[test]
    fn a_file_that_is_too_long_is_caught() {
        let long = document("base/db/src/a.rs", &"\n".repeat(MAX_LINES + 1));
        assert_eq!(said(&check(&[long])), ["base/db/src/a.rs: has 701 lines; split it, 700 is the most"]);
        assert!(check(&[document("base/db/src/a.rs", &"\n".repeat(MAX_LINES))]).is_empty());
    }

    #[test]
    fn what_library_code_never_does_is_caught_outside_tests_only() {
        for (pattern, _) in NEVER {
            let text = format!("fn a() {{\n    {pattern}x);\n}}\n");
            assert_eq!(check(&[document("base/db/src/a.rs", &text)]).len(), 1, "{pattern}");
            let in_test = format!("fn a() {{}}\n\n#[cfg(test)]\nmod tests {{\n    fn b() {{\n        {pattern}x);\n    }}\n}}\n");
            assert!(check(&[document("base/db/src/a.rs", &in_test)]).is_empty(), "{pattern}");
            assert!(check(&[document("base/db/src/a.rs", &format!("// {pattern}x)\n"))]).is_empty(), "{pattern}");
            assert!(check(&[document("tests/src/a.rs", &text)]).is_empty(), "{pattern}");
        }
    }

    #[test]
    fn code_after_a_test_module_is_looked_at_again() {
        let text = format!("#[cfg(test)]\nmod tests {{\n}}\nfn a() {{ {}); }}\n", NEVER[1].0);
        assert_eq!(said(&check(&[document("cli/src/a.rs", &text)])).len(), 1);
    }

    #[test]
    fn a_test_that_is_switched_off_and_a_mod_file_are_caught() {
        let text = format!("#[test]\n{IGNORED_TEST}]\nfn a() {{}}\n");
        assert_eq!(check(&[document("tests/src/a.rs", &text)]).len(), 1);
        assert_eq!(check(&[document("base/db/src/a/mod.rs", "")]).len(), 1);
        assert!(check(&[document("base/db/tests/support/mod.rs", "")]).is_empty());
    }
}
