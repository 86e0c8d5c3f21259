//! The code digest: one SHA-256 that says exactly what runs.
//!
//! It covers a canonical text of lines, each ended by a line feed:
//!
//! ```text
//! slipway-code 1
//! main <main module or service-worker part, or - for none>
//! module <SHA-256> <content type> <name>      sorted by name
//! asset <SHA-256> <content type or -> <path>  sorted by path
//! ```
//!
//! Names and paths hold no line feeds, so that no two uploads share a text. Bindings are not in it: the same code with another
//! secret is the same code.

use std::fmt::Write as _;

use purser_values::Sha256Digest;

use crate::assets::AssetSet;
use crate::view::ModuleInfo;

/// The digest of modules and assets.
#[must_use]
pub fn code_digest(main: Option<&str>, modules: &[ModuleInfo], assets: Option<&AssetSet>) -> Sha256Digest {
    let mut sorted: Vec<&ModuleInfo> = modules.iter().collect();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut text = format!("slipway-code 1\nmain {}\n", main.unwrap_or("-"));
    for module in sorted {
        let _ = writeln!(text, "module {} {} {}", module.sha256, module.content_type, module.name);
    }
    for (path, asset) in assets.iter().flat_map(|set| &set.files) {
        let _ = writeln!(text, "asset {} {} {path}", asset.sha256, asset.content_type.as_deref().unwrap_or("-"));
    }
    Sha256Digest::of(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str, code: &[u8]) -> ModuleInfo {
        let content_type = "application/javascript+module".to_owned();
        ModuleInfo { name: name.into(), content_type, size: code.len() as u64, sha256: Sha256Digest::of(code) }
    }

    #[test]
    fn the_digest_depends_on_every_part_and_not_on_the_order() {
        let (a, b) = (module("a.js", b"a"), module("b.js", b"b"));
        let digest = code_digest(Some("a.js"), &[a.clone(), b.clone()], None);
        assert_eq!(digest, code_digest(Some("a.js"), &[b.clone(), a.clone()], None));
        assert_ne!(digest, code_digest(Some("b.js"), &[a.clone(), b], None));
        assert_ne!(digest, code_digest(Some("a.js"), &[a, module("b.js", b"c")], None));
    }
}
