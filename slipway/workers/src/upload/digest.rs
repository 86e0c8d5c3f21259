//! The code digest: one SHA-256 that says exactly what runs, by the rule that both sides of the protocol share.
//!
//! Bindings are not in it: the same code with another secret is the same code. Source maps are not code.

use purser_values::Sha256Digest;
use purser_wire::code::{Part, digest};

use crate::assets::AssetSet;
use crate::view::ModuleInfo;

/// The content type of a source map, which clients send beside the code.
const SOURCE_MAP: &str = "application/source-map";

/// The digest of modules and assets.
#[must_use]
pub fn code_digest(main: Option<&str>, modules: &[ModuleInfo], assets: Option<&AssetSet>) -> Sha256Digest {
    let code = modules.iter().filter(|m| m.content_type != SOURCE_MAP);
    let mut parts: Vec<Part> = code.map(|m| Part::Module { name: m.name.clone(), digest: m.sha256 }).collect();
    parts.extend(assets.iter().flat_map(|set| &set.files).map(|(path, asset)| Part::Asset { path: path.clone(), digest: asset.sha256 }));
    digest(main, &parts)
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
