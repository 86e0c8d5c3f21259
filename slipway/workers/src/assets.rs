//! Static assets: uploading them in a session, and answering requests with them.

pub mod pattern;
pub mod redirects;
pub mod resolve;
pub mod respond;
pub mod rules;
mod session;

use std::collections::BTreeMap;

use purser_values::Sha256Digest;
use serde::{Deserialize, Serialize};

/// The assets of one version.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct AssetSet {
    pub files: BTreeMap<String, Asset>,
    pub config: AssetConfig,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    pub sha256: Sha256Digest,
    pub bytes: u64,
    /// Absent when the file is served without a content type.
    pub content_type: Option<String>,
}

/// How requests meet files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AssetConfig {
    pub html_handling: HtmlHandling,
    pub not_found_handling: NotFoundHandling,
    pub run_worker_first: RunWorkerFirst,
    /// The path that all files lie below, without a slash at its end; empty for the root.
    pub base_path: String,
    #[serde(rename = "redirect_rules")]
    pub redirects: Vec<redirects::Redirect>,
    #[serde(rename = "header_rules")]
    pub headers: Vec<rules::HeaderRule>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HtmlHandling {
    #[default]
    AutoTrailingSlash,
    ForceTrailingSlash,
    DropTrailingSlash,
    None,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotFoundHandling {
    #[default]
    #[serde(rename = "none")]
    None,
    #[serde(rename = "404-page")]
    NotFoundPage,
    #[serde(rename = "single-page-application")]
    SinglePageApplication,
}

/// Whether the Worker sees a request before the files do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RunWorkerFirst {
    Always(bool),
    /// Paths with `*`; a leading `!` takes paths out again.
    Paths(Vec<String>),
}

impl Default for RunWorkerFirst {
    fn default() -> Self {
        Self::Always(false)
    }
}

impl RunWorkerFirst {
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        match self {
            Self::Always(always) => *always,
            Self::Paths(rules) => {
                let hit = |rule: &str| glob(rule, path);
                rules.iter().filter(|r| !r.starts_with('!')).any(|r| hit(r)) && !rules.iter().filter_map(|r| r.strip_prefix('!')).any(hit)
            }
        }
    }
}

/// Whether `path` matches `rule`, in which each `*` stands for any text. Linear in both: the rule is a tenant's.
fn glob(rule: &str, path: &str) -> bool {
    let mut parts = rule.split('*');
    let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_say_which_paths_the_worker_sees_first() {
        let rules = RunWorkerFirst::Paths(vec!["/api/*".into(), "!/api/docs/*".into(), "/exact".into(), "*.json".into()]);
        for (path, covered) in
            [("/api/x", true), ("/api/docs/x", false), ("/exact", true), ("/exact/more", false), ("/a/b.json", true), ("/", false)]
        {
            assert_eq!(rules.covers(path), covered, "`{path}`");
        }
        assert!(RunWorkerFirst::Always(true).covers("/"));
        assert!(!RunWorkerFirst::default().covers("/"));
    }

    #[test]
    fn a_glob_needs_its_end_after_its_beginning() {
        assert!(!glob("/aa*aa", "/aaa"));
        assert!(glob("/aa*aa", "/aaaa"));
        assert!(glob("*", ""));
        assert!(!glob("/a*b*c", "/abb"));
    }
}
