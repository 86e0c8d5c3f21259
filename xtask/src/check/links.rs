//! Every relative link in a Markdown file leads to something.

use std::path::{Component, Path, PathBuf};

use crate::check::{Document, Finding};

pub fn check(root: &Path, documents: &[Document]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents.iter().filter(|document| document.has_extension("md")) {
        for (number, target) in links(&document.text) {
            if !leads_somewhere(root, &document.path, &target) {
                findings.push(Finding::at(&document.path, number, format!("the link `{target}` leads nowhere")));
            }
        }
    }
    findings
}

fn leads_somewhere(root: &Path, from: &Path, target: &str) -> bool {
    let file = target.split(['#', '?']).next().unwrap_or_default();
    if file.is_empty() {
        return true;
    }
    let path = match file.strip_prefix('/') {
        Some(rest) => PathBuf::from(rest),
        None => from.parent().unwrap_or(Path::new("")).join(file),
    };
    inside(&path).is_some_and(|path| root.join(path).exists())
}

/// The path without `..`, unless it leaves the repository.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if !clean.pop() => return None,
            Component::Normal(name) => clean.push(name),
            _ => {}
        }
    }
    Some(clean)
}

/// The relative targets of `[text](target)` and `[name]: target`, outside code.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let prose = without_code(line);
        let mut rest = prose.as_str();
        while let Some(start) = rest.find("](") {
            rest = &rest[start + 2..];
            let Some(end) = rest.find(')') else { break };
            found.push((number, rest[..end].to_owned()));
        }
        if let Some((name, target)) = prose.split_once("]: ")
            && name.starts_with('[')
        {
            found.push((number, target.to_owned()));
        }
    }
    found.into_iter().filter_map(|(number, target)| Some((number, relative(&target)?))).collect()
}

/// Drops a title and angle brackets; `None` for a link that leaves the repository.
fn relative(target: &str) -> Option<String> {
    let bare = target.trim().trim_start_matches('<').split([' ', '>']).next()?;
    let outside = ["http://", "https://", "mailto:", "data:"];
    (!outside.iter().any(|scheme| bare.starts_with(scheme))).then(|| bare.to_owned())
}

/// The line without what stands between backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("``")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::{document, said};

    #[test]
    fn a_link_that_leads_nowhere_is_caught_with_its_line() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let text = "# a\n[good](../src/main.rs#top) [bad](missing.md)\n[far](https://example.com/x)\n[ref]: ../gone.md\n";
        assert_eq!(
            said(&check(root, &[document("docs/a.md", text)])),
            ["docs/a.md:2: the link `missing.md` leads nowhere", "docs/a.md:4: the link `../gone.md` leads nowhere"]
        );
    }

    #[test]
    fn a_link_out_of_the_repository_is_caught() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(check(root, &[document("a.md", "[out](../../etc/passwd)")]).len(), 1);
    }

    #[test]
    fn code_is_not_read_as_a_link() {
        assert!(links("`[a](b)` and\n```\n[c](d)\n```\n").is_empty());
    }
}
