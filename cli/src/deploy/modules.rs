//! The modules of a Worker: the main one, and each file that a module names by a relative path in quotes.
//!
//! That finds more than the imports (a path in a comment too) and never less, save imports whose path is computed; it needs no
//! JavaScript parser. Packages (`import x from "hono"`) are not resolved: they must be bundled first, and the runtime says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::{DeployError, FILES, File, media, walk};

/// The main module first, the rest by name. Names are relative to the main module's folder, as the imports in it are.
pub(super) fn reachable(root: &Path, main: &Path) -> Result<Vec<File>, DeployError> {
    let path = root.join(main);
    match main.extension().and_then(|e| e.to_str()) {
        Some("js" | "mjs") => {}
        _ => return Err(DeployError::NeedsBuild(path)),
    }
    let real = path.canonicalize().map_err(|cause| DeployError::Io { path: path.clone(), cause })?;
    if !real.starts_with(root) {
        return Err(DeployError::Outside { path });
    }
    let base = path.parent().unwrap_or(root).to_owned();
    let first = path.file_name().map(PathBuf::from).unwrap_or_default();
    let mut found: BTreeMap<PathBuf, File> = BTreeMap::new();
    let mut next = vec![first.clone()];
    let mut seen: BTreeSet<PathBuf> = next.iter().cloned().collect();
    while let Some(name) = next.pop() {
        if found.len() >= FILES {
            return Err(DeployError::TooMany);
        }
        let text_name = walk::upload_name(&name)?;
        let Some(content_type) = media::of_module(&text_name) else { continue };
        let bytes = walk::read(root, &base.join(&name))?;
        if content_type.contains("javascript") {
            for path in relative_paths(&String::from_utf8_lossy(&bytes)) {
                let Some(target) = resolve(&name, &path) else { return Err(DeployError::Outside { path: base.join(&name).join(path) }) };
                if base.join(&target).is_file() && seen.insert(target.clone()) {
                    next.push(target);
                }
            }
        }
        found.insert(name, File { name: text_name, content_type, bytes });
    }
    let main = found.remove(&first);
    Ok(main.into_iter().chain(found.into_values()).collect())
}

/// Texts in quotes that begin with `./` or `../`.
fn relative_paths(source: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for quote in ['"', '\'', '`'] {
        for (at, _) in source.match_indices(quote) {
            let rest = &source[at + 1..];
            if !rest.starts_with("./") && !rest.starts_with("../") {
                continue;
            }
            if let Some(end) = rest.find([quote, '\n'])
                && rest[end..].starts_with(quote)
            {
                paths.push(rest[..end].to_owned());
            }
        }
    }
    paths
}

/// `path` as seen from the module `from`; `None` when it leaves the folder.
fn resolve(from: &Path, path: &str) -> Option<PathBuf> {
    let mut target = from.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => target.push(name),
            Component::ParentDir if target.pop() => {}
            _ => return None,
        }
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_found_in_every_kind_of_quote() {
        let source = "import a from './a.js'\nexport * from \"../b.js\"; await import(`./c.js`); const s = 'x ./no'; '/abs'; \"./open\n";
        assert_eq!(relative_paths(source), ["../b.js", "./a.js", "./c.js"]);
    }

    #[test]
    fn a_path_cannot_climb_out() {
        assert_eq!(resolve(Path::new("lib/a.js"), "../b.js"), Some(PathBuf::from("b.js")));
        assert_eq!(resolve(Path::new("a.js"), "../b.js"), None);
        assert_eq!(resolve(Path::new("lib/a.js"), "./../../b.js"), None);
    }
}
