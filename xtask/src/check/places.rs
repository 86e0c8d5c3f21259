//! Nothing in the repository names the machine it was written on, nor the host of a package registry; npm lock files
//! pin by integrity and hold no host.

use crate::check::{Document, Finding};

/// Folders of one machine, written in parts so that this file does not find itself.
const MACHINE_PATHS: [&[&str]; 5] =
    [&["", "work", "main"], &["", "work", "shared"], &["", "tmp", "wt", ""], &["", "tmp", "bin", ""], &["", "root", ".cargo"]];

/// Hosts of package registries, in parts for the same reason.
const HOSTS: [&[&str]; 6] = [
    &["registry", "npmjs", "org"],
    &["static", "crates", "io"],
    &["index", "crates", "io"],
    &["files", "pythonhosted", "org"],
    &["deb", "debian", "org"],
    &["pypi", "org"],
];

pub fn check(documents: &[Document]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents {
        for (number, line) in document.text.lines().enumerate() {
            for path in MACHINE_PATHS.map(|parts| parts.join("/")).iter().filter(|path| line.contains(path.as_str())) {
                findings.push(Finding::at(&document.path, number, format!("names a folder of one machine: `{path}`")));
            }
            for host in HOSTS.map(|parts| parts.join(".")).iter().filter(|host| line.contains(host.as_str())) {
                findings.push(Finding::at(&document.path, number, format!("names the host of a package registry: `{host}`")));
            }
        }
        if document.path.file_name().is_some_and(|name| name == "package-lock.json") {
            findings.extend(npm_lock(document));
        }
    }
    findings
}

/// Every package is pinned by integrity, none by where it once was.
fn npm_lock(document: &Document) -> Vec<Finding> {
    let place = document.path.display().to_string();
    let Ok(lock) = serde_json::from_str::<serde_json::Value>(&document.text) else {
        return vec![Finding::new(place, "is not JSON")];
    };
    let Some(packages) = lock.get("packages").and_then(serde_json::Value::as_object) else {
        return vec![Finding::new(place, "lists no packages")];
    };
    let mut findings = Vec::new();
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        if package.get("resolved").is_some() {
            findings.push(Finding::new(&place, format!("`{name}` names a host; write the lock with the `.npmrc` beside it")));
        }
        if package.get("integrity").is_none() {
            findings.push(Finding::new(&place, format!("`{name}` has no integrity")));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::document;

    #[test]
    fn a_folder_of_one_machine_and_a_registry_host_are_caught() {
        for parts in MACHINE_PATHS {
            assert_eq!(check(&[document("docs/a.md", &format!("see {}", parts.join("/")))]).len(), 1);
        }
        for parts in HOSTS {
            assert_eq!(check(&[document("docs/a.md", &format!("https://{}/x", parts.join(".")))]).len(), 1);
        }
        assert!(check(&[document("docs/a.md", "see docs/b.md and https://example.com")]).is_empty());
    }

    #[test]
    fn a_lock_with_a_host_or_without_integrity_is_caught() {
        let bad = r#"{"packages": {"": {}, "node_modules/a": {"version": "1.0.0", "resolved": "https://example.com/a.tgz"}}}"#;
        assert_eq!(check(&[document("runtime/a/package-lock.json", bad)]).len(), 2);
        let good = r#"{"packages": {"": {}, "node_modules/a": {"version": "1.0.0", "integrity": "sha512-AA=="}}}"#;
        assert!(check(&[document("runtime/a/package-lock.json", good)]).is_empty());
        assert_eq!(check(&[document("runtime/a/package-lock.json", "{")]).len(), 1);
    }
}
