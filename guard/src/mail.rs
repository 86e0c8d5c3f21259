//! Mail addresses that are made to be thrown away: known providers of them, and every name below.
//!
//! A list finds what is on it and nothing else: one more reason to look twice at a sign-up, never a reason alone.

use std::collections::HashSet;
use std::sync::LazyLock;

/// From `disposable-email-domains`, CC0-1.0, 2026-08-21 (one half of it).
const PROVIDERS: &str = include_str!("../data/disposable-mail.txt");

static KNOWN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| PROVIDERS.lines().filter(|line| !line.is_empty()).collect());

/// Whether an address, or the domain of one, belongs to a known provider of disposable addresses.
#[must_use]
pub fn is_disposable(address: &str) -> bool {
    let domain = address.rsplit('@').next().unwrap_or(address).trim().trim_end_matches('.').to_lowercase();
    let mut rest = domain.as_str();
    loop {
        if KNOWN.contains(rest) {
            return true;
        }
        match rest.split_once('.') {
            Some((_, parent)) if parent.contains('.') => rest = parent,
            _ => return false,
        }
    }
}

/// Providers whose mailboxes are the same with and without dots.
const DOTLESS: [&str; 2] = ["gmail.com", "googlemail.com"];

/// Whose an address is, as far as the address tells: what stands behind `+` does not count, nor do dots where the provider ignores them,
/// and all addresses of one provider of disposable ones are one.
#[must_use]
pub fn mailbox(address: &str) -> String {
    let address = address.trim().to_lowercase();
    let (local, domain) = address.rsplit_once('@').unwrap_or(("", &address));
    if is_disposable(domain) {
        return domain.to_owned();
    }
    let bare = local.split_once('+').map_or(local, |(bare, _)| bare);
    let bare = if DOTLESS.contains(&domain) { bare.replace('.', "") } else { bare.to_owned() };
    format!("{bare}@{domain}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disposable_addresses_are_known_at_any_depth_and_others_are_not() {
        let known = PROVIDERS.lines().next().unwrap();
        for address in [known.to_owned(), format!("a@{known}"), format!("a@x.{}.", known.to_uppercase())] {
            assert!(is_disposable(&address), "{address}");
        }
        for address in ["a@example.com", "example.co.uk", "a@gmail.com", "", "@"] {
            assert!(!is_disposable(address), "{address}");
        }
    }

    #[test]
    fn one_mailbox_in_other_spellings_is_one() {
        let known = PROVIDERS.lines().next().unwrap();
        for (one, other) in [
            ("Ada.L+1@gmail.com".to_owned(), "adal+x@Gmail.com".to_owned()),
            ("ops+a@corp.example".to_owned(), "ops@corp.example".to_owned()),
            (format!("a@{known}"), format!("b@{known}")),
        ] {
            assert_eq!(mailbox(&one), mailbox(&other));
        }
        assert_ne!(mailbox("a.b@corp.example"), mailbox("ab@corp.example"));
        assert_ne!(mailbox("a@corp.example"), mailbox("b@corp.example"));
    }
}
