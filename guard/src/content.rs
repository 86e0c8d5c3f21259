//! Content that asks for what is not its business: pages for phishing, demands for ransom, and what was taken down
//! before and comes back in other clothes.
//!
//! Judged before the first byte is served and again at every change. It reads files as text and as HTML, never runs
//! anything, and looks through the wrappers that hide a page from such a reader. INVARIANT (linear): the work is
//! proportional to the bytes, memory is bounded by a constant and the size of the input, and no input makes it fail.

use std::borrow::Cow;

use crate::names::Names;
use crate::verdict::{Action, Reason, Score, Sign, Verdict};

mod fingerprint;
mod html;
mod page;
mod phish;
mod ransom;
mod unwrap;

pub use fingerprint::Fingerprint;

use fingerprint::Known;
use page::Page;

/// One file of a deployment.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// As it will be asked for: `/login/index.html`, or a module's name.
    pub path: &'a str,
    pub bytes: &'a [u8],
}

/// Where it will be served, and for whom.
#[derive(Clone, Copy, Default, Debug)]
pub struct Site<'a> {
    /// The hosts that will serve it, lower case, as far as they are known by now. A form that sends there is at home.
    pub hosts: &'a [&'a str],
    /// Protected names that were verified as the customer's own.
    pub owned: &'a [&'a str],
}

/// A page that was taken down.
#[derive(Clone, Debug)]
pub struct TakenDown {
    /// What a reviewer knows it by: the number of the case.
    pub name: String,
    pub print: Fingerprint,
}

/// The detector of content. Make it once: it is a table.
#[derive(Clone, Default, Debug)]
pub struct Content {
    names: Names,
    known: Known,
    cases: Vec<String>,
}

/// More of one file is not read: the rest of a larger one is data, and files of that size are pictures and films.
const MOST_READ: usize = 8 * 1024 * 1024;

impl Content {
    /// With the names that pages may not claim, and what was taken down before.
    #[must_use]
    pub fn new(names: Names, taken_down: Vec<TakenDown>) -> Self {
        let (cases, prints) = taken_down.into_iter().map(|one| (one.name, one.print)).unzip();
        Self { names, known: Known::of(prints), cases }
    }

    /// Judges all files of a deployment together.
    #[must_use]
    pub fn judge(&self, files: &[File<'_>], site: Site<'_>) -> Verdict {
        let mut reasons = Vec::new();
        let mut target = None;
        for file in files {
            let text = text_of(file.bytes);
            reasons.extend(ransom::find(&text, file.path));
            let hidden = if can_hold_pages(&text) { unwrap::layers(&text) } else { Vec::new() };
            let layers = std::iter::once(&*text).chain(hidden.iter().map(String::as_str));
            for (depth, layer) in layers.enumerate() {
                let Some(page) = page_in(layer) else { continue };
                let (found, whom) = self.page(&page, layer, file.path, site);
                if depth > 0 && (page.asks_for_credentials() || !found.is_empty()) {
                    let words = format!("`{}` hides a page inside a script or an encoding", file.path);
                    reasons.push(reason(Sign::Concealed, Action::Review, 600, words, file.path));
                }
                reasons.extend(found);
                target = target.or(whom);
            }
        }
        reasons.dedup_by(|one, other| one.words == other.words);
        Verdict::of(reasons, target)
    }

    /// What to remember of a deployment that is taken down: one print for every page in it that says enough.
    #[must_use]
    pub fn fingerprints(files: &[File<'_>]) -> Vec<Fingerprint> {
        let mut prints = Vec::new();
        for file in files {
            let text = text_of(file.bytes);
            let hidden = if can_hold_pages(&text) { unwrap::layers(&text) } else { Vec::new() };
            let layers = std::iter::once(&*text).chain(hidden.iter().map(String::as_str));
            prints.extend(layers.filter_map(page_in).map(|page| Fingerprint::of(&page)).filter(|print| !print.is_empty()));
        }
        prints
    }

    fn page(&self, page: &Page, text: &str, path: &str, site: Site<'_>) -> (Vec<Reason>, Option<String>) {
        let (mut reasons, mut target) = phish::find(page, text, path, site, self.names.brands());
        if let Some(found) = self.known.find(&Fingerprint::of(page)) {
            let sureness = found.words.max(found.shape);
            // how often an honest page equals a known one was not measured, so a person looks
            let action = Action::Review;
            let case = self.cases.get(found.known).map_or("", String::as_str);
            let words = format!("`{path}` re-creates what was taken down in `{case}`");
            reasons.push(reason(Sign::KnownContent, action, sureness, words, path));
            target = target.or_else(|| Some(case.to_owned()));
        }
        (reasons, target)
    }
}

fn reason(sign: Sign, action: Action, score: u16, words: String, path: &str) -> Reason {
    Reason { sign, action, score: Score::from_thousandths(score), words, place: Some(path.to_owned()) }
}

/// As a browser would read it: UTF-16 by its mark, and UTF-8 otherwise, whatever is broken replaced.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = &bytes[..bytes.len().min(MOST_READ)];
    let wide = |from: fn([u8; 2]) -> u16| {
        let units = bytes[2..].chunks_exact(2).map(|pair| from([pair[0], pair[1]]));
        char::decode_utf16(units).map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match bytes {
        [0xff, 0xfe, ..] => Cow::Owned(wide(u16::from_le_bytes)),
        [0xfe, 0xff, ..] => Cow::Owned(wide(u16::from_be_bytes)),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// Not a picture, a font or a compiled module: those are full of broken characters at once.
fn can_hold_pages(text: &str) -> bool {
    const LOOKED_AT: usize = 4_096;
    let broken = text.chars().take(LOOKED_AT).filter(|letter| *letter == char::REPLACEMENT_CHARACTER || *letter == '\0').count();
    broken < 32
}

/// The page in a text, if there is one: the whole file, or the markup in a script's strings.
fn page_in(text: &str) -> Option<Page> {
    const MARKS: [&str; 8] = ["<form", "<input", "<html", "<body", "<!doctype", "<div", "<textarea", "<title"];
    let opens = |at: usize| {
        MARKS.iter().any(|mark| text.as_bytes()[at..].get(..mark.len()).is_some_and(|it| it.eq_ignore_ascii_case(mark.as_bytes())))
    };
    let at = text.match_indices('<').map(|(at, _)| at).find(|at| opens(*at))?;
    Some(Page::of(&text[at..]))
}
