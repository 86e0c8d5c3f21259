//! What a folder deploys: a Worker with its modules and static files, or static files alone.
//!
//! Nothing is bundled or compiled here: what is uploaded is what lies in the folder, so that the digest names it exactly.
//! Hidden files, `node_modules` and Wrangler's own configuration are never uploaded, and no link leads out of the folder.

mod config;
mod jsonc;
mod media;
mod modules;
mod walk;

use std::path::{Path, PathBuf};

use purser_values::error::{Kind, PublicError};
use purser_values::{Sha256Digest, limits};
use purser_wire::code::{self, Part};
use serde_json::{Map, Value, json};

use config::Config;

/// Largest static file, in bytes.
pub const ASSET_BYTES: u64 = 25 * 1024 * 1024;
/// Most files in one deployment.
pub const FILES: usize = 20_000;
/// Longest path of a file within the folder, in bytes.
pub const PATH_BYTES: usize = 1024;

/// A file as it is uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// A module's name, or a static file's path without a slash in front.
    pub name: String,
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
}

/// Everything that one deployment uploads.
#[derive(Clone, Debug, Default)]
pub struct Bundle {
    /// The name in the configuration, if there is one.
    pub name: Option<String>,
    pub main_module: Option<String>,
    pub modules: Vec<File>,
    pub assets: Vec<File>,
    /// Further members of the metadata: compatibility and variables.
    pub metadata: Map<String, Value>,
}

#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    #[error("`{0}` is not a folder")]
    NoFolder(PathBuf),
    #[error("`{0}` holds nothing to deploy")]
    Empty(PathBuf),
    #[error("`{path}` cannot be read: {cause}")]
    Io { path: PathBuf, cause: std::io::Error },
    #[error("`{path}` is not a configuration: {why}")]
    Config { path: PathBuf, why: String },
    #[error("`{path}` is not in the folder")]
    Outside { path: PathBuf },
    #[error("`{0}` is a link to a folder, which is not followed")]
    LinkedFolder(PathBuf),
    #[error("the name of `{0}` cannot be uploaded")]
    Name(PathBuf),
    #[error("`{0}` must be built first")]
    NeedsBuild(PathBuf),
    #[error("`{0}` in the configuration is not supported by `purser deploy`")]
    Binding(String),
    #[error("the folder holds more than {FILES} files")]
    TooMany,
    #[error("`{path}` is larger than {limit} bytes")]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("all files together are larger than {limit} bytes")]
    TooLargeTogether { limit: usize },
}

impl PublicError for DeployError {
    fn code(&self) -> &'static str {
        match self {
            Self::NoFolder(_) => "DEPLOY_FOLDER",
            Self::Empty(_) => "DEPLOY_EMPTY",
            Self::Io { .. } => "FILE_UNUSABLE",
            Self::Config { .. } => "DEPLOY_CONFIG",
            Self::Outside { .. } | Self::LinkedFolder(_) => "DEPLOY_OUTSIDE",
            Self::Name(_) => "DEPLOY_FILE_NAME",
            Self::NeedsBuild(_) => "DEPLOY_NEEDS_BUILD",
            Self::Binding(_) => "DEPLOY_BINDING",
            Self::TooMany | Self::TooLarge { .. } | Self::TooLargeTogether { .. } => "DEPLOY_TOO_LARGE",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::NoFolder(_) => Kind::NotFound,
            Self::TooMany | Self::TooLarge { .. } | Self::TooLargeTogether { .. } => Kind::TooLarge,
            _ => Kind::Invalid,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoFolder(_) => "name the folder with the code or the static files",
            Self::Empty(_) => "it needs a `wrangler.jsonc` with `main`, an `index.js` or `index.mjs`, or an `index.html`",
            Self::Outside { .. } | Self::LinkedFolder(_) => "copy what you need into the folder",
            Self::Name(_) => "use a regular file with a name of UTF-8, without control characters, quotes and backslashes; modules must not lie in `assets`",
            Self::NeedsBuild(_) => "build it and deploy the result, or use `purser run -- wrangler deploy`",
            Self::Binding(_) => "use `purser run -- wrangler deploy`, or remove it from the configuration",
            Self::TooMany | Self::TooLarge { .. } | Self::TooLargeTogether { .. } => "deploy less, or serve large files from elsewhere",
            Self::Io { .. } | Self::Config { .. } => return None,
        }
        .to_owned())
    }
}

impl Bundle {
    /// The digest that the orchestrator and the provider will compute as well.
    #[must_use]
    pub fn code_digest(&self) -> Sha256Digest {
        let module = |file: &File| Part::Module { name: file.name.clone(), digest: Sha256Digest::of(&file.bytes) };
        let asset = |file: &File| Part::Asset { path: format!("/{}", file.name), digest: Sha256Digest::of(&file.bytes) };
        let parts: Vec<Part> = self.modules.iter().map(module).chain(self.assets.iter().map(asset)).collect();
        code::digest(self.main_module.as_deref(), &parts)
    }
}

/// Reads a folder.
///
/// # Errors
/// What cannot be deployed as it is, and what to do instead.
pub fn gather(folder: &Path) -> Result<Bundle, DeployError> {
    let root = folder.canonicalize().ok().filter(|path| path.is_dir()).ok_or_else(|| DeployError::NoFolder(folder.to_owned()))?;
    let bundle = match config::read(&root)? {
        Some(config) => configured(&root, config)?,
        None => unconfigured(&root)?,
    };
    let total: usize = bundle.modules.iter().chain(&bundle.assets).map(|file| file.bytes.len()).sum();
    if total > limits::UPLOAD_BODY_BYTES {
        return Err(DeployError::TooLargeTogether { limit: limits::UPLOAD_BODY_BYTES });
    }
    // the upload tells static files by this beginning
    if let Some(module) = bundle.modules.iter().find(|module| module.name.starts_with("assets/")) {
        return Err(DeployError::Name(PathBuf::from(&module.name)));
    }
    if bundle.modules.is_empty() && bundle.assets.is_empty() {
        return Err(DeployError::Empty(folder.to_owned()));
    }
    Ok(bundle)
}

fn configured(root: &Path, config: Config) -> Result<Bundle, DeployError> {
    let mut bundle = Bundle { name: config.name.clone(), metadata: config.metadata(), ..Bundle::default() };
    let assets = config.assets.as_ref().and_then(|assets| assets.directory.as_ref()).map(|dir| root.join(dir));
    if let Some(main) = &config.main {
        (bundle.main_module, bundle.modules) = worker(root, main)?;
    }
    if let Some(assets) = assets {
        bundle.assets = walk::files(root, &assets)?;
    } else if config.main.is_none() {
        bundle.assets = walk::files(root, root)?;
    }
    Ok(bundle)
}

fn unconfigured(root: &Path) -> Result<Bundle, DeployError> {
    for main in ["index.js", "index.mjs"] {
        if root.join(main).is_file() {
            let (main_module, modules) = worker(root, main)?;
            return Ok(Bundle { main_module, modules, ..Bundle::default() });
        }
    }
    if root.join("index.ts").is_file() {
        return Err(DeployError::NeedsBuild(root.join("index.ts")));
    }
    Ok(Bundle { assets: walk::files(root, root)?, ..Bundle::default() })
}

fn worker(root: &Path, main: &str) -> Result<(Option<String>, Vec<File>), DeployError> {
    let modules = modules::reachable(root, Path::new(main))?;
    Ok((modules.first().map(|main| main.name.clone()), modules))
}

/// The `metadata` part of the upload.
#[must_use]
pub fn metadata(bundle: &Bundle) -> Map<String, Value> {
    let mut metadata = bundle.metadata.clone();
    // without a main module it is a site of static files
    if let Some(main) = &bundle.main_module {
        metadata.insert("main_module".to_owned(), json!(main));
    }
    metadata
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    fn names(files: &[File]) -> Vec<&str> {
        files.iter().map(|file| file.name.as_str()).collect()
    }

    #[test]
    fn a_worker_is_its_main_and_what_it_imports() {
        let dir = folder(&[
            (
                "wrangler.jsonc",
                "{ // mine\n \"name\": \"hello\", \"main\": \"src/index.js\", \"compatibility_date\": \"2026-01-01\", /* x */ \"vars\": {\"A\": \"1\"}, }",
            ),
            ("src/index.js", "import { a } from './lib/a.mjs';\nimport page from \"./page.html\";\nexport default {}"),
            ("src/lib/a.mjs", "export * from '../b.js'"),
            ("src/b.js", "export const a = 1"),
            ("src/page.html", "<p>"),
            ("src/unused.js", "x"),
            (".env", "SECRET=1"),
        ]);
        let bundle = gather(dir.path()).unwrap();
        assert_eq!(bundle.name.as_deref(), Some("hello"));
        assert_eq!(bundle.main_module.as_deref(), Some("index.js"));
        assert_eq!(names(&bundle.modules), ["index.js", "b.js", "lib/a.mjs", "page.html"]);
        assert_eq!(metadata(&bundle)["vars"], json!({"A": "1"}));
        assert_eq!(metadata(&bundle)["compatibility_date"], "2026-01-01");
    }

    #[test]
    fn static_files_leave_out_what_is_not_for_the_world() {
        let dir = folder(&[
            ("index.html", "<p>"),
            ("a/b.css", "x"),
            (".env", "SECRET=1"),
            (".git/config", "x"),
            (".purser/state.json", "{}"),
            ("node_modules/x/index.js", "x"),
            (".well-known/security.txt", "Contact: x"),
        ]);
        let bundle = gather(dir.path()).unwrap();
        assert_eq!(names(&bundle.assets), [".well-known/security.txt", "a/b.css", "index.html"]);
        assert!(metadata(&bundle).is_empty());
        assert_ne!(bundle.code_digest(), Bundle::default().code_digest());
    }

    #[test]
    fn no_link_leads_out_of_the_folder() {
        let outside = folder(&[("secret", "s")]);
        let dir = folder(&[("index.html", "<p>")]);
        std::os::unix::fs::symlink(outside.path().join("secret"), dir.path().join("leak.txt")).unwrap();
        assert!(matches!(gather(dir.path()), Err(DeployError::Outside { .. })));
        fs::remove_file(dir.path().join("leak.txt")).unwrap();
        std::os::unix::fs::symlink(outside.path(), dir.path().join("leak")).unwrap();
        assert!(matches!(gather(dir.path()), Err(DeployError::LinkedFolder(_))));
    }

    #[test]
    fn a_main_outside_the_folder_is_refused() {
        let dir = folder(&[("up/wrangler.json", r#"{"name":"x","main":"../index.js"}"#), ("index.js", "export default {}")]);
        assert!(matches!(gather(&dir.path().join("up")), Err(DeployError::Outside { .. })));
    }

    #[test]
    fn an_import_cannot_leave_the_folder_of_the_main_module() {
        let dir = folder(&[("w/index.js", "import x from '../secret.js'"), ("secret.js", "x")]);
        assert!(matches!(gather(&dir.path().join("w")), Err(DeployError::Outside { .. })));
    }

    #[test]
    fn what_needs_a_build_or_a_binding_says_so() {
        let typescript = folder(&[("wrangler.toml", "name = \"x\"\nmain = \"src/index.ts\""), ("src/index.ts", "x")]);
        assert!(matches!(gather(typescript.path()), Err(DeployError::NeedsBuild(_))));
        let binding = folder(&[("wrangler.json", r#"{"main":"index.js","kv_namespaces":[{"binding":"K","id":"1"}]}"#), ("index.js", "x")]);
        assert!(matches!(gather(binding.path()), Err(DeployError::Binding(name)) if name == "kv_namespaces"));
        let assets = folder(&[("wrangler.json", r#"{"assets":{"directory":".","not_found_handling":"404-page"}}"#), ("index.html", "x")]);
        assert!(matches!(gather(assets.path()), Err(DeployError::Binding(name)) if name == "assets.not_found_handling"));
        assert!(matches!(gather(folder(&[]).path()), Err(DeployError::Empty(_))));
        assert!(matches!(gather(Path::new("/nonexistent")), Err(DeployError::NoFolder(_))));
    }

    #[test]
    fn a_file_that_is_too_large_is_named() {
        let dir = folder(&[("index.html", "<p>")]);
        let big = fs::File::create(dir.path().join("big.bin")).unwrap();
        big.set_len(ASSET_BYTES + 1).unwrap();
        let error = gather(dir.path()).unwrap_err();
        assert!(error.to_string().contains("big.bin"), "{error}");
    }
}
