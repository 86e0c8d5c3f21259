//! The crates of the workspace as their manifests tell it: folder, name, what each imports.

use std::path::{Path, PathBuf};

use crate::fail::{Context, Failure, Outcome};
use crate::house::House;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crate {
    pub name: String,
    /// Relative to the root, with forward slashes: `base/values`.
    pub folder: String,
    /// What the built code imports: dependencies and build dependencies.
    pub imports: Vec<String>,
    /// What only its tests import.
    pub test_imports: Vec<String>,
}

/// All crates, sorted by folder.
pub fn all(house: &House) -> Outcome<Vec<Crate>> {
    let mut found = Vec::new();
    for file in house.files()?.iter().filter(|file| file.ends_with("Cargo.toml") && file.components().count() > 1) {
        let text = house.text(file)?.ok_or_else(|| Failure::new(format!("`{}` is not text", file.display())))?;
        found.push(parse(file, &text)?);
    }
    Ok(found)
}

/// One manifest.
pub fn parse(file: &Path, text: &str) -> Outcome<Crate> {
    let manifest: toml::Table = toml::from_str(text).context(|| format!("reading `{}`", file.display()))?;
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(toml::Value::as_str)
        .ok_or_else(|| Failure::new(format!("`{}` has no package name", file.display())))?;
    let mut imports = Vec::new();
    let mut test_imports = Vec::new();
    collect(&manifest, &mut imports, &mut test_imports);
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        for table in targets.values().filter_map(toml::Value::as_table) {
            collect(table, &mut imports, &mut test_imports);
        }
    }
    for list in [&mut imports, &mut test_imports] {
        list.sort();
        list.dedup();
    }
    Ok(Crate { name: name.to_owned(), folder: slashes(file.parent().unwrap_or(Path::new(""))), imports, test_imports })
}

fn collect(table: &toml::Table, imports: &mut Vec<String>, test_imports: &mut Vec<String>) {
    for (section, list) in [("dependencies", &mut *imports), ("dev-dependencies", test_imports)] {
        list.extend(dependencies(table, section));
    }
    imports.extend(dependencies(table, "build-dependencies"));
}

/// The real package names of a section; a rename does not hide one.
fn dependencies(table: &toml::Table, section: &str) -> Vec<String> {
    let Some(section) = table.get(section).and_then(toml::Value::as_table) else { return Vec::new() };
    section.iter().map(|(name, value)| value.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned()).collect()
}

/// A relative path with forward slashes.
pub fn slashes(path: &Path) -> String {
    path.components().map(|part| part.as_os_str().to_string_lossy()).collect::<Vec<_>>().join("/")
}

/// The file that heads a crate.
pub fn head(house: &House, one: &Crate) -> Option<PathBuf> {
    ["src/lib.rs", "src/main.rs"].map(|file| Path::new(&one.folder).join(file)).into_iter().find(|file| house.root().join(file).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found_under_renames_targets_and_build_sections() {
        let text = r#"
            [package]
            name = "purser-x"
            [dependencies]
            serde = { workspace = true }
            web = { package = "axum", version = "1" }
            [build-dependencies]
            cc = "1"
            [dev-dependencies]
            tempfile = "3"
            [target.'cfg(unix)'.dependencies]
            libc = "0.2"
        "#;
        let one = parse(Path::new("base/x/Cargo.toml"), text).unwrap();
        assert_eq!((one.name.as_str(), one.folder.as_str()), ("purser-x", "base/x"));
        assert_eq!(one.imports, ["axum", "cc", "libc", "serde"]);
        assert_eq!(one.test_imports, ["tempfile"]);
    }
}
