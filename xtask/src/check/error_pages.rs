//! Every stable error code has a page or a row under `docs/errors/`, once that folder exists.
//!
//! A code is what a function `fn code(…) -> &'static str` returns: the words in quotes in its body.

use crate::check::{Document, Finding};
use crate::crates::slashes;

const PAGES: &str = "docs/errors/";

pub fn check(documents: &[Document]) -> Vec<Finding> {
    let pages: Vec<&Document> = documents.iter().filter(|it| slashes(&it.path).starts_with(PAGES)).collect();
    if pages.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for document in documents.iter().filter(|it| it.has_extension("rs") && !it.path.starts_with("xtask")) {
        for (number, code) in codes(&document.text) {
            let has_page = pages.iter().any(|page| page.path.file_stem().is_some_and(|stem| stem == code.as_str()));
            let has_row = pages.iter().any(|page| page.text.contains(&format!("`{code}`")));
            if !has_page && !has_row {
                findings.push(Finding::at(&document.path, number, format!("the error code `{code}` has no page and no row in {PAGES}")));
            }
        }
    }
    findings
}

fn codes(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut end: Option<String> = None;
    for (number, line) in text.lines().enumerate() {
        let is_head = line.contains("fn code(") && line.contains("&'static str");
        if is_head && line.trim_end().ends_with('{') {
            end = Some(format!("{}}}", " ".repeat(line.len() - line.trim_start().len())));
        }
        if end.is_some() || is_head {
            found.extend(quoted(line).into_iter().filter(|word| is_code(word)).map(|word| (number, word.to_owned())));
        }
        if end.as_deref() == Some(line) {
            end = None;
        }
    }
    found
}

fn quoted(line: &str) -> Vec<&str> {
    line.split("//").next().unwrap_or_default().split('"').skip(1).step_by(2).collect()
}

fn is_code(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{document, said};

    const SOURCE: &str = r#"
impl CapError {
    pub fn code(&self) -> &'static str {
        match self {
            Self::Passed => "cap_passed",
            Self::Frozen => "agent_frozen", // "not_this"
        }
    }

    fn title(&self) -> &'static str {
        "other_words"
    }
}
"#;

    #[test]
    fn a_code_without_a_page_or_a_row_is_caught() {
        let source = document("orchestrator/spend/src/cap.rs", SOURCE);
        let page = document("docs/errors/cap_passed.md", "# cap_passed\n");
        assert_eq!(
            said(&check(&[source, page])),
            ["orchestrator/spend/src/cap.rs:6: the error code `agent_frozen` has no page and no row in docs/errors/"]
        );
    }

    #[test]
    fn a_row_is_enough_and_without_the_folder_nothing_is_asked() {
        let source = || document("orchestrator/spend/src/cap.rs", SOURCE);
        let rows = document("docs/errors/README.md", "| `cap_passed` | `agent_frozen` |");
        assert!(check(&[source(), rows]).is_empty());
        assert!(check(&[source()]).is_empty());
    }
}
