//! Which records a client asks for, and in which order. Nested members come as `name.contains=` or `name[contains]=`.

use std::cmp::Ordering;

use slipway_dns::record::present;
use slipway_dns::zone::entry::{Entry, shown_kind};

use crate::api::envelope::Failure;

/// The question of one list.
pub struct Filter {
    tests: Vec<(String, String)>,
    any: bool,
    order: Order,
    descending: bool,
}

#[derive(Clone, Copy)]
enum Order {
    Name,
    Type,
    Content,
    Ttl,
    Proxied,
}

impl Filter {
    /// # Errors
    /// When it asks for an order that there is none of.
    pub fn of(query: Option<&str>) -> Result<Self, Failure> {
        let mut filter = Self { tests: Vec::new(), any: false, order: Order::Name, descending: false };
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            let name = name.replace('[', ".").replace(']', "");
            match name.as_str() {
                "match" => filter.any = value == "any",
                "direction" => filter.descending = value == "desc",
                "order" => {
                    filter.order = match value.as_ref() {
                        "name" => Order::Name,
                        "type" => Order::Type,
                        "content" => Order::Content,
                        "ttl" => Order::Ttl,
                        "proxied" => Order::Proxied,
                        _ => return Err(Failure::invalid("`order` is type, name, content, ttl or proxied")),
                    }
                }
                // Tags are matched by their own word, and pages are no test.
                "tag_match" | "page" | "per_page" => {}
                _ => filter.tests.push((name, value.to_ascii_lowercase())),
            }
        }
        Ok(filter)
    }

    pub fn takes(&self, entry: &Entry) -> bool {
        let mut passed = self.tests.iter().filter_map(|(name, value)| test(entry, name, value));
        if self.any && !self.tests.is_empty() { passed.any(|p| p) } else { passed.all(|p| p) }
    }

    pub fn sort(&self, entries: &mut [&Entry]) {
        entries.sort_by(|a, b| {
            let by = match self.order {
                Order::Name => Ordering::Equal,
                Order::Type => shown_kind(&a.record.data).cmp(shown_kind(&b.record.data)),
                Order::Content => present::content(&a.record.data).cmp(&present::content(&b.record.data)),
                Order::Ttl => a.record.ttl_s.cmp(&b.record.ttl_s),
                Order::Proxied => a.proxied().cmp(&b.proxied()),
            };
            let by = by.then_with(|| a.record.owner.cmp(&b.record.owner)).then_with(|| a.id.cmp(&b.id));
            if self.descending { by.reverse() } else { by }
        });
    }
}

/// Whether the record passes one test; nothing for a parameter that is none, so that new clients are not refused.
fn test(entry: &Entry, name: &str, value: &str) -> Option<bool> {
    let content = || present::content(&entry.record.data).to_ascii_lowercase();
    let comment = || entry.comment.as_deref().unwrap_or_default().to_ascii_lowercase();
    let (what, how) = name.split_once('.').unwrap_or((name, "exact"));
    let text = |text: &str| match how {
        "exact" => Some(text == value),
        "contains" => Some(text.contains(value)),
        "startswith" => Some(text.starts_with(value)),
        "endswith" => Some(text.ends_with(value)),
        _ => None,
    };
    match (what, how) {
        ("name", "exact") => Some(entry.record.owner.as_str() == value.strip_suffix('.').unwrap_or(value)),
        ("name", _) => text(entry.record.owner.as_str()),
        ("type", _) => Some(shown_kind(&entry.record.data).eq_ignore_ascii_case(value)),
        ("content", _) => text(&content()),
        ("proxied", _) => Some(entry.proxied() == (value == "true")),
        ("comment", "present") => Some(entry.comment.is_some()),
        ("comment", "absent") => Some(entry.comment.is_none()),
        ("comment", _) => text(&comment()),
        ("tag", "present") => Some(entry.tags.iter().any(|tag| tag_name(tag) == value)),
        ("tag", "absent") => Some(!entry.tags.iter().any(|tag| tag_name(tag) == value)),
        ("tag", _) => Some(entry.tags.iter().any(|tag| text(&tag.to_ascii_lowercase()).unwrap_or_default())),
        ("search", _) => {
            let shown = [entry.record.owner.as_str().to_owned(), content(), comment()];
            Some(shown.iter().chain(&entry.tags).any(|text| text.to_ascii_lowercase().contains(value)))
        }
        _ => None,
    }
}

fn tag_name(tag: &str) -> String {
    tag.split(':').next().unwrap_or_default().to_ascii_lowercase()
}
