//! Which file answers a path, or where the browser should look instead.
//!
//! Each HTML file has one canonical path under the Worker's `html_handling`; all its other spellings redirect there. A file's
//! canonical path always resolves to a file, so that no redirect leads into another.

use super::{AssetSet, HtmlHandling, NotFoundHandling};

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Found<'a> {
    File(&'a str),
    /// Another spelling is canonical. Percent-decoded.
    Redirect(String),
    Nothing,
}

impl AssetSet {
    /// Looks up a percent-decoded path.
    #[must_use]
    pub fn find(&self, path: &str) -> Found<'_> {
        let handling = self.config.html_handling;
        if let Some((name, _)) = self.files.get_key_value(path)
            && (handling == HtmlHandling::None || !name.ends_with(".html"))
        {
            return Found::File(name);
        }
        if handling == HtmlHandling::None {
            return Found::Nothing;
        }
        let candidates = if path.ends_with(".html") {
            vec![path.to_owned()]
        } else if let Some(stem) = path.strip_suffix('/') {
            vec![format!("{path}index.html"), format!("{stem}.html")]
        } else {
            vec![format!("{path}.html"), format!("{path}/index.html")]
        };
        let Some((name, _)) = candidates.iter().find_map(|c| self.files.get_key_value(c)) else { return Found::Nothing };
        let canonical = canonical(name, handling);
        if canonical == path { Found::File(name) } else { Found::Redirect(canonical) }
    }

    /// What answers when nothing was found, with its status.
    #[must_use]
    pub fn fallback(&self, path: &str) -> Option<(&str, u16)> {
        match self.config.not_found_handling {
            NotFoundHandling::None => None,
            NotFoundHandling::SinglePageApplication => self.files.get_key_value("/index.html").map(|(name, _)| (name.as_str(), 200)),
            NotFoundHandling::NotFoundPage => {
                let mut folder = path;
                while let Some((parent, _)) = folder.rsplit_once('/') {
                    if let Some((name, _)) = self.files.get_key_value(&format!("{parent}/404.html")) {
                        return Some((name, 404));
                    }
                    folder = parent;
                }
                None
            }
        }
    }
}

fn canonical(name: &str, handling: HtmlHandling) -> String {
    let slash = handling == HtmlHandling::ForceTrailingSlash;
    if let Some(folder) = name.strip_suffix("index.html").filter(|f| f.ends_with('/')) {
        return match handling {
            HtmlHandling::DropTrailingSlash if folder.len() > 1 => folder[..folder.len() - 1].to_owned(),
            _ => folder.to_owned(),
        };
    }
    let stem = name.strip_suffix(".html").unwrap_or(name);
    if slash { format!("{stem}/") } else { stem.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::super::{Asset, AssetConfig};
    use super::*;
    use purser_values::Sha256Digest;

    fn set(handling: HtmlHandling, not_found: NotFoundHandling, files: &[&str]) -> AssetSet {
        let asset = Asset { sha256: Sha256Digest::of(b""), bytes: 0, content_type: None };
        let config = AssetConfig { html_handling: handling, not_found_handling: not_found, ..AssetConfig::default() };
        AssetSet { files: files.iter().map(|f| ((*f).to_owned(), asset.clone())).collect(), config }
    }

    fn to(path: &str) -> Found<'_> {
        Found::Redirect(path.to_owned())
    }

    const FILES: &[&str] = &["/index.html", "/a.html", "/b/index.html", "/both.html", "/both/index.html", "/x.css"];

    #[test]
    fn every_spelling_meets_its_file_or_the_canonical_one() {
        use Found::{File, Nothing};
        use HtmlHandling::{AutoTrailingSlash, DropTrailingSlash, ForceTrailingSlash, None};
        let table: &[(HtmlHandling, &str, Found<'_>)] = &[
            (AutoTrailingSlash, "/", File("/index.html")),
            (AutoTrailingSlash, "/index.html", to("/")),
            (AutoTrailingSlash, "/index", to("/")),
            (AutoTrailingSlash, "/a", File("/a.html")),
            (AutoTrailingSlash, "/a/", to("/a")),
            (AutoTrailingSlash, "/a.html", to("/a")),
            (AutoTrailingSlash, "/b", to("/b/")),
            (AutoTrailingSlash, "/b/", File("/b/index.html")),
            (AutoTrailingSlash, "/b/index", to("/b/")),
            (AutoTrailingSlash, "/both", File("/both.html")),
            (AutoTrailingSlash, "/both/", File("/both/index.html")),
            (AutoTrailingSlash, "/x.css", File("/x.css")),
            (AutoTrailingSlash, "/nope", Nothing),
            (ForceTrailingSlash, "/a", to("/a/")),
            (ForceTrailingSlash, "/a/", File("/a.html")),
            (ForceTrailingSlash, "/b", to("/b/")),
            (DropTrailingSlash, "/b/", to("/b")),
            (DropTrailingSlash, "/b", File("/b/index.html")),
            (DropTrailingSlash, "/", File("/index.html")),
            (DropTrailingSlash, "/a/", to("/a")),
            (None, "/a", Nothing),
            (None, "/", Nothing),
            (None, "/a.html", File("/a.html")),
        ];
        for (handling, path, expected) in table {
            assert_eq!(set(*handling, NotFoundHandling::None, FILES).find(path), *expected, "{handling:?} `{path}`");
        }
    }

    #[test]
    fn a_redirect_never_leads_into_another() {
        for handling in [HtmlHandling::AutoTrailingSlash, HtmlHandling::ForceTrailingSlash, HtmlHandling::DropTrailingSlash] {
            let set = set(handling, NotFoundHandling::None, FILES);
            for path in ["/index.html", "/index", "/a", "/a/", "/a.html", "/b", "/b/", "/b/index", "/both/index.html", "/both/"] {
                if let Found::Redirect(next) = set.find(path) {
                    assert!(matches!(set.find(&next), Found::File(_)), "{handling:?} `{path}` leads to `{next}`");
                }
            }
        }
    }

    #[test]
    fn the_nearest_not_found_page_answers() {
        let set = set(HtmlHandling::default(), NotFoundHandling::NotFoundPage, &["/404.html", "/docs/404.html"]);
        assert_eq!(set.fallback("/docs/deep/x"), Some(("/docs/404.html", 404)));
        assert_eq!(set.fallback("/x"), Some(("/404.html", 404)));
    }

    #[test]
    fn a_single_page_application_answers_everything() {
        let set = set(HtmlHandling::default(), NotFoundHandling::SinglePageApplication, FILES);
        assert_eq!(set.fallback("/some/where"), Some(("/index.html", 200)));
    }
}
