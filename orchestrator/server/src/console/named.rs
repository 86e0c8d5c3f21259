//! How a page speaks of what stands in the log: by its name, with the page on which it is, and in words.

use purser_authority::action::verb_words;
use purser_identity::names::Names;
use purser_values::id::{AgentId, ApprovalId, GrantId, PersonId};

/// Something with an id, as a person knows it.
#[derive(Clone, Debug, Default)]
pub struct Named {
    pub id: String,
    pub name: Option<String>,
    /// The page that shows it.
    pub link: Option<String>,
}

impl Named {
    pub fn of(names: &Names, id: &str) -> Self {
        let name = names.of(id).map(str::to_owned);
        let link = if id.parse::<PersonId>().is_ok() {
            Some(format!("/organisation/members/{id}"))
        } else if id.parse::<AgentId>().is_ok() || id.parse::<GrantId>().is_ok() {
            Some(format!("/agents#{id}"))
        } else if id.parse::<ApprovalId>().is_ok() {
            Some(format!("/approvals/{id}"))
        } else {
            None
        };
        // what is not known by a name here is on no page of this organisation, requests apart
        let link = link.filter(|link| name.is_some() || link.starts_with("/approvals/"));
        Self { id: id.to_owned(), name, link }
    }
}

/// What was done, as the beginning of a line.
pub fn words_of(verb: &str) -> String {
    capitalised(&verb_words(verb))
}

/// The text with a capital letter at its beginning.
pub fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
