//! Files below a folder, in the order of their names, without leaving it.

use std::fs;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use super::{ASSET_BYTES, DeployError, FILES, File, PATH_BYTES, media};

/// Files that configure the deployment and are no part of the site.
const NOT_SERVED: &[&str] = &["wrangler.jsonc", "wrangler.json", "wrangler.toml", "node_modules"];

/// Every static file below `folder`, which lies in `root`.
pub(super) fn files(root: &Path, folder: &Path) -> Result<Vec<File>, DeployError> {
    let real = folder.canonicalize().map_err(|cause| DeployError::Io { path: folder.to_owned(), cause })?;
    if !real.starts_with(root) {
        return Err(DeployError::Outside { path: folder.to_owned() });
    }
    let mut names = Vec::new();
    list(&real, Path::new(""), &mut names)?;
    names.sort();
    names
        .into_iter()
        .map(|name| {
            let text = upload_name(&name)?;
            let bytes = read(root, &real.join(&name))?;
            Ok(File { content_type: media::of_asset(&text), name: text, bytes })
        })
        .collect()
}

fn list(top: &Path, below: &Path, names: &mut Vec<PathBuf>) -> Result<(), DeployError> {
    let here = top.join(below);
    let unreadable = |cause| DeployError::Io { path: here.clone(), cause };
    for entry in fs::read_dir(&here).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if (text.starts_with('.') && text != ".well-known") || NOT_SERVED.contains(&text.as_ref()) {
            continue;
        }
        let kind = entry.file_type().map_err(unreadable)?;
        let path = below.join(&name);
        if kind.is_dir() {
            list(top, &path, names)?;
        } else if kind.is_symlink() && entry.path().is_dir() {
            return Err(DeployError::LinkedFolder(entry.path()));
        } else {
            names.push(path);
        }
        if names.len() > FILES {
            return Err(DeployError::TooMany);
        }
    }
    Ok(())
}

/// Reads a regular file that lies in `root`, after every link was followed.
pub(super) fn read(root: &Path, path: &Path) -> Result<Vec<u8>, DeployError> {
    let unreadable = |cause| DeployError::Io { path: path.to_owned(), cause };
    let real = path.canonicalize().map_err(unreadable)?;
    if !real.starts_with(root) {
        return Err(DeployError::Outside { path: path.to_owned() });
    }
    if !fs::metadata(&real).map_err(unreadable)?.is_file() {
        // a pipe or a device would be read without end
        return Err(DeployError::Name(path.to_owned()));
    }
    let mut bytes = Vec::new();
    fs::File::open(&real).and_then(|file| file.take(ASSET_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > ASSET_BYTES {
        return Err(DeployError::TooLarge { path: path.to_owned(), limit: ASSET_BYTES });
    }
    Ok(bytes)
}

/// A relative path as the name of an uploaded file: UTF-8, forward slashes, nothing that another system reads differently.
pub(super) fn upload_name(path: &Path) -> Result<String, DeployError> {
    let bad = || DeployError::Name(path.to_owned());
    let mut parts = Vec::new();
    for part in path.components() {
        let Component::Normal(part) = part else { return Err(bad()) };
        let part = part.to_str().ok_or_else(bad)?;
        if part.chars().any(|c| c.is_control() || matches!(c, '\\' | '"')) {
            return Err(bad());
        }
        parts.push(part);
    }
    let name = parts.join("/");
    if name.is_empty() || name.len() > PATH_BYTES { Err(bad()) } else { Ok(name) }
}
