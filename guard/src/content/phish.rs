//! Pages that ask for credentials which are none of their business.
//!
//! A form alone proves nothing: half of the web signs people in. What proves something is where it sends (another
//! site, a chat room), under whose name it asks, and whether it asks for the words that own a wallet.

use super::fingerprint::readable;
use super::page::{Asks, Page, host_of};
use super::{Site, reason};
use crate::names::Brands;
use crate::verdict::{Action, Reason, Sign};

/// Where kits send what they took: chat rooms and mail gateways, which nobody signs people in with.
const DROPS: [&str; 9] = [
    "api.telegram.org/bot",
    "discord.com/api/webhooks",
    "discordapp.com/api/webhooks",
    "formspree.io/f/",
    "submit-form.com/",
    "formsubmit.co/",
    "getform.io/f/",
    "api.emailjs.com/",
    "hooks.slack.com/services/",
];

/// Everything found on one page, and the protected name it uses. `text` is the file that the page came from, with the
/// scripts in it.
pub(super) fn find(page: &Page, text: &str, path: &str, site: Site<'_>, brands: &Brands) -> (Vec<Reason>, Option<String>) {
    let mut reasons = Vec::new();
    let brand = claimed(page, site, brands);
    if page.asks_for_credentials() {
        if let Some(host) = page.forms.iter().filter(|form| takes(&form.asks)).find_map(|form| foreign(&form.action, site)) {
            let score = if brand.is_some() { 950 } else { 700 };
            let words = format!("a form in `{path}` asks for credentials and sends them to `{host}`");
            reasons.push(reason(Sign::CredentialForm, Action::Review, score, words, path));
        } else if let Some(drop) = DROPS.iter().find(|drop| text.contains(**drop)) {
            let words = format!("`{path}` asks for credentials and sends what it takes to `{drop}`");
            reasons.push(reason(Sign::CredentialForm, Action::Review, 900, words, path));
        }
        if let Some(brand) = &brand {
            let words =
                format!("`{path}` asks for credentials under the protected name `{brand}`, on a host that is not known as its owner's");
            reasons.push(reason(Sign::BrandPage, Action::Review, 850, words, path));
        }
    }
    if page.asks().any(|asks| asks == Asks::WalletSecret) {
        let words = format!("`{path}` asks for the words or the key that own a wallet");
        reasons.push(reason(Sign::WalletSecret, Action::Review, 900, words, path));
    }
    let target = if reasons.is_empty() { None } else { brand };
    (reasons, target)
}

fn takes(asks: &[Asks]) -> bool {
    asks.iter().any(|one| matches!(one, Asks::Password | Asks::Card | Asks::WalletSecret))
}

/// The host that a form sends to, unless it is the site's own.
fn foreign(action: &str, site: Site<'_>) -> Option<String> {
    if action.trim_start().to_ascii_lowercase().starts_with("mailto:") {
        return Some(action.trim().to_owned());
    }
    let host = host_of(action)?;
    let at_home = site.hosts.iter().any(|own| host == *own || registrable(&host) == registrable(own));
    (!at_home).then_some(host)
}

/// The protected name that the page claims: in its title, its site name, its notice of copyright, or by dressing in
/// pictures of its owner's.
fn claimed(page: &Page, site: Site<'_>, brands: &Brands) -> Option<String> {
    let copyright = page.blocks.iter().filter(|block| block.contains('©') || block.to_lowercase().contains("copyright"));
    let mut said: Vec<String> = vec![readable(&page.title), readable(&page.site_name)];
    said.extend(copyright.map(|block| readable(block)));
    let words: Vec<&str> = said.iter().flat_map(|text| text.split(|letter: char| !letter.is_alphanumeric())).collect();
    let dressed = |brand: &str| page.hosts.iter().any(|host| label(host) == brand);
    brands
        .iter()
        .filter(|brand| !site.owned.contains(brand) && !site.hosts.iter().any(|host| label(host) == *brand))
        .find(|brand| {
            let said = words.contains(brand) || spaced(&words, brand);
            if brands.is_ordinary(brand) || brands.is_built_on(brand) {
                said && dressed(brand)
            } else {
                said || dressed_alone(brand, &dressed)
            }
        })
        .map(str::to_owned)
}

/// Pictures from a host of the owner's are a sign of their own, except from those who serve everybody's files.
fn dressed_alone(brand: &str, dressed: &impl Fn(&str) -> bool) -> bool {
    const SERVE_EVERYBODY: [&str; 13] = [
        "google",
        "cloudflare",
        "github",
        "facebook",
        "twitter",
        "linkedin",
        "microsoft",
        "amazon",
        "adobe",
        "shopify",
        "yandex",
        "webflow",
        "squarespace",
    ];
    !SERVE_EVERYBODY.contains(&brand) && dressed(brand)
}

/// `wells fargo` for `wellsfargo`.
fn spaced(words: &[&str], brand: &str) -> bool {
    const SHORTEST: usize = 8;
    brand.len() >= SHORTEST
        && words
            .windows(2)
            .any(|pair| pair[0].len() + pair[1].len() == brand.len() && brand.starts_with(pair[0]) && brand.ends_with(pair[1]))
}

fn registrable(host: &str) -> &str {
    psl::domain_str(host).unwrap_or(host)
}

/// The label left of the public suffix.
fn label(host: &str) -> &str {
    registrable(host).split('.').next().unwrap_or(host)
}
