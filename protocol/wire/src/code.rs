//! The digest that names deployed code, the same on both sides of the protocol.
//!
//! Orchestrator and provider each compute it from what they have, so that "which code runs there" needs no trust in either.
//! It is the SHA-256 of a text of lines, each ended by a line feed: first `agentic-code-1`, then `main NAME` when there is a
//! main module, then one line `module NAME DIGEST` or `asset /PATH DIGEST` for each file, sorted by their bytes; `DIGEST` is
//! the SHA-256 of the file's bytes in lower-case hexadecimal. Source maps are not code and are left out.

use purser_values::Sha256Digest;

/// One file of a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// A module by the name that the code imports it under.
    Module { name: String, digest: Sha256Digest },
    /// A static file by its absolute path on the site.
    Asset { path: String, digest: Sha256Digest },
}

impl Part {
    fn line(&self) -> String {
        match self {
            Self::Module { name, digest } => format!("module {name} {digest}\n"),
            Self::Asset { path, digest } => format!("asset {path} {digest}\n"),
        }
    }
}

/// The digest of a deployment.
#[must_use]
pub fn digest(main: Option<&str>, parts: &[Part]) -> Sha256Digest {
    let mut lines: Vec<String> = parts.iter().map(Part::line).collect();
    lines.sort_unstable();
    let main = main.map(|name| format!("main {name}\n")).unwrap_or_default();
    Sha256Digest::of_parts(&[b"agentic-code-1\n", main.as_bytes(), lines.concat().as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let module = |name: &str, text: &str| Part::Module { name: name.to_owned(), digest: Sha256Digest::of(text.as_bytes()) };
        let (a, b) = (module("a.js", "1"), module("b.js", "2"));
        let one = digest(Some("a.js"), &[a.clone(), b.clone()]);
        assert_eq!(one, digest(Some("a.js"), &[b.clone(), a.clone()]));
        assert_ne!(one, digest(Some("b.js"), &[a.clone(), b.clone()]));
        assert_ne!(one, digest(Some("a.js"), &[a.clone(), module("b.js", "3")]));
        let asset = Part::Asset { path: "/b.js".to_owned(), digest: Sha256Digest::of(b"2") };
        assert_ne!(one, digest(Some("a.js"), &[a, asset]));
    }
}
