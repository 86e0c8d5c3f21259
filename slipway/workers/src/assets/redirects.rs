//! The rules of a `_redirects` file. Lines that make no sense are left out, as the client has already told their author.

use serde::{Deserialize, Serialize};

use super::HtmlHandling;
use super::pattern::{Pattern, filled};
use crate::limits;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    from: Pattern,
    to: String,
    status: u16,
}

/// What a rule makes of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Moved {
    /// Another file answers under the same address.
    Rewritten(String),
    To {
        status: u16,
        location: String,
    },
}

/// Reads a file; the first of two rules for the same path holds.
#[must_use]
pub fn parse(text: &str, handling: HtmlHandling) -> Vec<Redirect> {
    let (mut rules, mut fixed, mut dynamic): (Vec<Redirect>, usize, usize) = (Vec::new(), 0, 0);
    for line in super::rules::lines(text) {
        let line = line.split_once(" #").map_or(line, |(rule, _)| rule);
        let words: Vec<&str> = line.split_whitespace().collect();
        let (from, to, status) = match words[..] {
            [from, to] => (from, to, 302),
            [from, to, status] => (from, to, status.parse().unwrap_or(0)),
            _ => continue,
        };
        if !matches!(status, 200 | 301 | 302 | 303 | 307 | 308) || from.contains("://") {
            continue;
        }
        let from = from.split(['?', '#']).next().unwrap_or_default();
        let from = if from.starts_with('/') { from.to_owned() } else { format!("/{from}") };
        let outside = to.starts_with("https://") || to.starts_with("http://");
        if !(outside || to.starts_with('/')) || (outside && status == 200) {
            continue;
        }
        // the canonical spelling of an index leads back to where the rule begins
        let index = !outside && (to.ends_with("/index") || to.ends_with("/index.html"));
        if index && (from.ends_with("/*") || (from.ends_with('/') && handling != HtmlHandling::None)) {
            continue;
        }
        let Some(pattern) = Pattern::parse(&from) else { continue };
        if pattern.is_static() && dynamic == 0 {
            fixed += 1;
        } else {
            dynamic += 1;
        }
        if fixed > limits::REDIRECTS_STATIC || dynamic > limits::REDIRECTS_DYNAMIC {
            break;
        }
        if !rules.iter().any(|rule| rule.from == pattern) {
            rules.push(Redirect { from: pattern, to: to.to_owned(), status });
        }
    }
    rules
}

/// The first rule that meets a path.
#[must_use]
pub fn moved(rules: &[Redirect], host: &str, path: &str, query: Option<&str>) -> Option<Moved> {
    let (rule, found) = rules.iter().find_map(|rule| rule.from.find(host, path).map(|found| (rule, found)))?;
    let to = filled(&rule.to, &found);
    if rule.status == 200 {
        return Some(Moved::Rewritten(to));
    }
    let (address, mark) = to.split_once('#').map_or((to.as_str(), None), |(address, mark)| (address, Some(mark)));
    let own = address.strip_prefix(&format!("https://{host}")).filter(|rest| rest.starts_with('/')).unwrap_or(address);
    let mut location = own.to_owned();
    if let Some(query) = query.filter(|_| !own.contains('?')) {
        location = format!("{location}?{query}");
    }
    if let Some(mark) = mark {
        location = format!("{location}#{mark}");
    }
    Some(Moved::To { status: rule.status, location })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_move_requests_and_keep_their_query() {
        let text = "# moved\n/a /b 301\n/a /c\n/blog/* https://blog.test/:splat\n/u/:id /user?id=:id 308\n/same https://app.test/x#end 303\n\
                    /in /page 200\n/bad\n/bad /x 999\n/loop/* /index.html\n/out https://x.test/ 200\nplain /p # why\n";
        let rules = parse(text, HtmlHandling::default());
        let to = |path: &str, query| match moved(&rules, "app.test", path, query) {
            Some(Moved::To { status, location }) => format!("{status} {location}"),
            Some(Moved::Rewritten(to)) => format!("200 {to}"),
            None => "none".to_owned(),
        };
        assert_eq!(to("/a", None), "301 /b");
        assert_eq!(to("/a", Some("q=1")), "301 /b?q=1");
        assert_eq!(to("/blog/x/y", Some("q")), "302 https://blog.test/x/y?q");
        assert_eq!(to("/u/7", Some("q")), "308 /user?id=7");
        assert_eq!(to("/same", Some("q")), "303 /x?q#end");
        assert_eq!(to("/in", None), "200 /page");
        assert_eq!(to("/plain", None), "302 /p");
        for path in ["/bad", "/loop/x", "/out", "/none"] {
            assert_eq!(to(path, None), "none", "{path}");
        }
    }

    #[test]
    fn a_file_has_so_many_rules_and_no_more() {
        let text: String = (0..5_000).map(|n| format!("/a{n} /b\n")).collect();
        assert_eq!(parse(&text, HtmlHandling::None).len(), limits::REDIRECTS_STATIC);
        let text: String = (0..500).map(|n| format!("/a{n}/* /b\n")).collect();
        assert_eq!(parse(&text, HtmlHandling::None).len(), limits::REDIRECTS_DYNAMIC);
    }
}
