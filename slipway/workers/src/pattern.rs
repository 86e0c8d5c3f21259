//! Routes by pattern: which URLs of a zone go to which Worker. `shop.test/api/*`, `*.shop.test/*`, `*shop.test/*`.
//!
//! A star stands at the very beginning of the host or at the very end of the path, and nowhere else. The most specific pattern wins: a whole host before a
//! part of one, the longer host before the shorter, then the longer path.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use purser_values::name::HostName;

/// Longest pattern, in bytes.
const MOST_BYTES: usize = 1_024;

/// A parsed pattern. Shown as it was written, without its scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    host: HostPart,
    path: PathPart,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostPart {
    Whole(String),
    /// `*.shop.test`: names below, never the name itself.
    Below(String),
    /// `*shop.test`: the name, names below, and names that merely end so.
    Ends(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum PathPart {
    Whole(String),
    Begins(String),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    #[error("a route is at most {MOST_BYTES} characters of `HOST/PATH`")]
    Form,
    #[error("a `*` stands at the very beginning of the host or at the very end of the path of a route, not in `{0}`")]
    Star(String),
    #[error("`{0}` is not a host name")]
    Host(String),
    #[error("a route has neither a port nor a query")]
    NotPath,
}

impl FromStr for Pattern {
    type Err = PatternError;
    fn from_str(text: &str) -> Result<Self, PatternError> {
        let bare = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        if bare.is_empty() || bare.len() > MOST_BYTES || bare.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(PatternError::Form);
        }
        if bare.contains(['?', '#', ':']) {
            return Err(PatternError::NotPath);
        }
        let (host, path) = bare.split_at(bare.find('/').unwrap_or(bare.len()));
        let path = if path.is_empty() { "/" } else { path };
        let (host, name) = host_part(&host.to_ascii_lowercase())?;
        name.parse::<HostName>().map_err(|_| PatternError::Host(name))?;
        let path = match path.strip_suffix('*') {
            Some(start) if !start.contains('*') => PathPart::Begins(start.to_owned()),
            None if !path.contains('*') => PathPart::Whole(path.to_owned()),
            _ => return Err(PatternError::Star(path.chars().take(80).collect())),
        };
        Ok(Self { text: bare.to_owned(), host, path })
    }
}

fn host_part(host: &str) -> Result<(HostPart, String), PatternError> {
    let (part, name): (fn(String) -> HostPart, &str) = match (host.strip_prefix("*."), host.strip_prefix('*')) {
        (Some(rest), _) => (HostPart::Below, rest),
        (None, Some(rest)) => (HostPart::Ends, rest),
        (None, None) => (HostPart::Whole, host),
    };
    if name.contains('*') {
        return Err(PatternError::Star(host.chars().take(80).collect()));
    }
    Ok((part(name.to_owned()), name.to_owned()))
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Pattern {
    /// The host that is named, without its star.
    #[must_use]
    pub fn host(&self) -> &str {
        match &self.host {
            HostPart::Whole(name) | HostPart::Below(name) | HostPart::Ends(name) => name,
        }
    }

    /// Whether every host that the pattern names lies in the zone.
    #[must_use]
    pub fn is_within(&self, zone: &str) -> bool {
        let name = self.host();
        // `*hop.test` would be read as a name of the zone `shop.test` and reach into others
        name.strip_suffix(zone).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    #[must_use]
    pub fn covers_host(&self, host: &str) -> bool {
        match &self.host {
            HostPart::Whole(name) => host == name,
            HostPart::Below(name) => host.strip_suffix(name.as_str()).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            HostPart::Ends(name) => host.ends_with(name.as_str()),
        }
    }

    #[must_use]
    pub fn covers(&self, host: &str, path: &str) -> bool {
        let on_path = match &self.path {
            PathPart::Whole(whole) => path == whole,
            PathPart::Begins(start) => path.starts_with(start.as_str()),
        };
        on_path && self.covers_host(host)
    }

    /// Sorts the most specific pattern first.
    #[must_use]
    pub fn rank(&self) -> impl Ord + use<> {
        let (kind, host) = match &self.host {
            HostPart::Whole(name) => (0, name.len()),
            HostPart::Below(name) => (1, name.len()),
            HostPart::Ends(name) => (2, name.len()),
        };
        let (open, path) = match &self.path {
            PathPart::Whole(path) => (0, path.len()),
            PathPart::Begins(path) => (1, path.len()),
        };
        (kind, Reverse(host), Reverse(path), open, self.text.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    #[test]
    fn a_star_is_read_where_it_may_stand_and_refused_elsewhere() {
        assert!(pattern("shop.test/api/*").covers("shop.test", "/api/x") && !pattern("shop.test/api/*").covers("shop.test", "/api"));
        assert!(pattern("https://Shop.test").covers("shop.test", "/") && !pattern("shop.test").covers("shop.test", "/x"));
        assert!(pattern("*.shop.test/*").covers("a.b.shop.test", "/x") && !pattern("*.shop.test/*").covers("shop.test", "/"));
        assert!(pattern("*shop.test/*").covers("shop.test", "/") && pattern("*shop.test/*").covers("www.shop.test", "/"));
        for bad in ["a.*.test/*", "shop.test/*/x", "shop.test/**", "shop.test/a*b", "sh*p.test/"] {
            assert!(matches!(bad.parse::<Pattern>(), Err(PatternError::Star(_))), "`{bad}` was taken");
        }
        for bad in ["", "shop.test:80/", "shop.test/?a", "-x.test/*", "shop.test/a b", "*/x", "*./x", "/x"] {
            assert!(bad.parse::<Pattern>().is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn a_pattern_reaches_into_no_other_zone() {
        assert!(pattern("*.shop.test/*").is_within("shop.test") && pattern("*shop.test/*").is_within("shop.test"));
        for foreign in ["*test/*", "other.test/*", "myshop.test/*", "*hop.test/*", "*myshop.test/*"] {
            assert!(!pattern(foreign).is_within("shop.test"), "`{foreign}` was taken");
        }
    }

    #[test]
    fn the_most_specific_pattern_comes_first() {
        let mut all =
            ["*shop.test/*", "*.shop.test/*", "www.shop.test/*", "www.shop.test/a/*", "www.shop.test/a/b", "*.eu.shop.test/*"].map(pattern);
        all.sort_by_key(Pattern::rank);
        let shown: Vec<String> = all.iter().map(ToString::to_string).collect();
        let expected = ["www.shop.test/a/b", "www.shop.test/a/*", "www.shop.test/*", "*.eu.shop.test/*", "*.shop.test/*", "*shop.test/*"];
        assert_eq!(shown, expected);
    }
}
