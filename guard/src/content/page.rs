//! What a page shows and asks for, read off its HTML: title, text block by block, forms, and its shape.
//!
//! What a visitor cannot see (hidden elements, scripts) is no part of the text or the shape: imitators fill pages with
//! it so that two copies of one page differ for machines only.

use std::collections::HashSet;

use super::html::{self, Attribute, Event};
use crate::hash::Stable;

/// Elements inside each other beyond this are read as if they stood beside each other.
const DEEPEST: usize = 256;

/// What is kept of one page; the rest of a larger one is not compared.
const MOST_BLOCKS: usize = 20_000;
const MOST_FORMS: usize = 64;
const MOST_FIELDS: usize = 256;

const VOID: [&str; 14] = ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"];
/// These do not end a block of text.
const INLINE: [&str; 22] = [
    "a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "font", "i", "img", "kbd", "mark", "s", "small", "span", "strong", "sub", "sup",
    "u", "wbr", "center",
];
/// A minifier leaves these out, and browsers put them back.
const OPTIONAL: [&str; 4] = ["html", "head", "body", "tbody"];
/// Closed by the next of their kind.
const SELF_ENDING: [&str; 8] = ["li", "p", "option", "tr", "td", "th", "dt", "dd"];

/// What a field asks for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) enum Asks {
    Password,
    Card,
    WalletSecret,
    OneTimeCode,
    Other,
}

#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Form {
    pub action: String,
    pub asks: Vec<Asks>,
}

/// One page.
#[derive(Default, Debug)]
pub(super) struct Page {
    pub title: String,
    /// The name that the page gives its site, in `og:site_name` and its like.
    pub site_name: String,
    /// Visible text, one block after the other, placeholders and button labels among them.
    pub blocks: Vec<String>,
    /// Forms; fields outside any form come as one without an address.
    pub forms: Vec<Form>,
    /// Hosts that pictures, styles and scripts come from.
    pub hosts: HashSet<String>,
    /// Element paths, and how many words stand at each.
    pub shape: HashSet<u64>,
    pub elements: usize,
}

impl Page {
    pub fn of(html: &str) -> Self {
        let mut reader = Reader { hidden_classes: hidden_classes(html), ..Reader::default() };
        html::scan(html, |event| reader.take(event));
        reader.end_block();
        reader.page
    }

    pub fn asks(&self) -> impl Iterator<Item = Asks> {
        self.forms.iter().flat_map(|form| form.asks.iter().copied())
    }

    /// A password, a card, or the words that own a wallet.
    pub fn asks_for_credentials(&self) -> bool {
        self.asks().any(|asks| matches!(asks, Asks::Password | Asks::Card | Asks::WalletSecret))
    }
}

#[derive(Default)]
struct Reader {
    page: Page,
    hidden_classes: HashSet<String>,
    stack: Vec<Level>,
    /// Elements opened beyond [`DEEPEST`].
    deeper: usize,
    block: String,
    form: Option<usize>,
    loose: Option<usize>,
}

struct Level {
    name: String,
    path: u64,
    hidden: bool,
}

impl Reader {
    fn take(&mut self, event: Event<'_, '_>) {
        match event {
            Event::Open { name, attributes } => self.open(name, attributes),
            Event::Close { name } => self.close(name),
            Event::Text(text) if !self.hidden() => self.block.push_str(&html::decoded(text)),
            Event::Raw { element, text } => {
                match element {
                    "title" => self.page.title.push_str(&html::decoded(text)),
                    "textarea" if !self.hidden() => self.block.push_str(&html::decoded(text)),
                    _ => {}
                }
                self.close(element);
            }
            Event::Text(_) => {}
        }
    }

    fn hidden(&self) -> bool {
        self.stack.last().is_some_and(|level| level.hidden)
    }

    fn path(&self) -> u64 {
        self.stack.last().map_or(0, |level| level.path)
    }

    fn open(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        let name_is = |list: &[&str]| list.contains(&name);
        if !name_is(&INLINE) {
            self.end_block();
        }
        self.note(name, attributes);
        if name_is(&OPTIONAL) || name_is(&["script", "style", "link", "meta", "title", "base", "noscript"]) {
            if !name_is(&OPTIONAL) && !VOID.contains(&name) {
                self.push(name, self.path(), true);
            }
            return;
        }
        if name_is(&SELF_ENDING) && self.stack.last().is_some_and(|level| level.name == name) {
            self.pop();
        }
        let hidden = self.hidden() || self.hides(attributes) || (name == "input" && is(attributes, "type", "hidden"));
        let path = step(self.path(), name);
        if !hidden {
            self.page.elements += 1;
            if self.page.shape.len() < MOST_BLOCKS {
                self.page.shape.insert(path);
            }
        }
        if name == "form" && self.page.forms.len() < MOST_FORMS {
            self.form = Some(self.page.forms.len());
            self.page.forms.push(Form { action: value(attributes, "action"), asks: Vec::new() });
        }
        if matches!(name, "input" | "textarea" | "select") && !hidden {
            self.field(name, attributes);
        }
        if !VOID.contains(&name) {
            self.push(name, path, hidden);
        }
    }

    fn push(&mut self, name: &str, path: u64, hidden: bool) {
        if self.stack.len() < DEEPEST {
            self.stack.push(Level { name: name.to_owned(), path, hidden });
        } else {
            self.deeper += 1;
        }
    }

    fn pop(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else {
            self.stack.pop();
        }
    }

    fn close(&mut self, name: &str) {
        if !INLINE.contains(&name) {
            self.end_block();
        }
        if name == "form" {
            self.form = None;
        }
        if self.deeper > 0 {
            self.deeper -= 1;
            return;
        }
        if let Some(at) = self.stack.iter().rposition(|level| level.name == name) {
            self.stack.truncate(at);
        }
    }

    /// What stands in attributes and is seen or loaded.
    fn note(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        if name == "meta" {
            let about = [value(attributes, "property"), value(attributes, "name")].join("").to_ascii_lowercase();
            if matches!(about.as_str(), "og:site_name" | "application-name" | "apple-mobile-web-app-title" | "og:title" | "twitter:title") {
                self.page.site_name.push_str(&value(attributes, "content"));
                self.page.site_name.push(' ');
            }
        }
        if !matches!(name, "a" | "form" | "meta") {
            for attribute in ["src", "href", "data", "srcset"] {
                if let Some(host) = host_of(&value(attributes, attribute))
                    && self.page.hosts.len() < MOST_FIELDS
                {
                    self.page.hosts.insert(host);
                }
            }
        }
        if self.hidden() {
            return;
        }
        for attribute in ["placeholder", "aria-label", "alt"] {
            let text = value(attributes, attribute);
            if !text.is_empty() {
                self.end_block();
                self.block = text;
                self.end_block();
            }
        }
        if name == "input" && (is(attributes, "type", "submit") || is(attributes, "type", "button")) {
            self.block = value(attributes, "value");
            self.end_block();
        }
    }

    fn field(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        let at = match self.form.or(self.loose) {
            Some(at) => at,
            None if self.page.forms.len() < MOST_FORMS => {
                self.page.forms.push(Form::default());
                *self.loose.insert(self.page.forms.len() - 1)
            }
            None => return,
        };
        if let Some(form) = self.page.forms.get_mut(at)
            && form.asks.len() < MOST_FIELDS
        {
            form.asks.push(asks(name, attributes));
        }
    }

    /// The text since the last block, at the path where it ends.
    fn end_block(&mut self) {
        if self.block.is_empty() {
            return;
        }
        let block = std::mem::take(&mut self.block);
        let words = block.split_whitespace().count();
        if words == 0 || self.page.blocks.len() >= MOST_BLOCKS {
            return;
        }
        self.page.shape.insert(step(self.path(), &words.to_string()));
        self.page.blocks.push(block);
    }

    fn hides(&self, attributes: &[Attribute<'_>]) -> bool {
        attributes.iter().any(|it| {
            it.name.eq_ignore_ascii_case("hidden")
                || (it.name.eq_ignore_ascii_case("style") && hides(&html::decoded(it.value)))
                || (it.name.eq_ignore_ascii_case("class") && it.value.split_whitespace().any(|class| self.hidden_classes.contains(class)))
        })
    }
}

/// Whether declarations make an element invisible.
fn hides(declarations: &str) -> bool {
    const LONGEST: usize = 2_000;
    let tight: String =
        declarations.chars().take(LONGEST).filter(|letter| !letter.is_whitespace()).collect::<String>().to_ascii_lowercase();
    ["display:none", "visibility:hidden", "font-size:0", "opacity:0;", "left:-9", "text-indent:-9", "top:-9", "clip:rect(0", "height:0;"]
        .iter()
        .any(|one| tight.contains(one))
        || tight.ends_with("opacity:0")
        || tight.ends_with("height:0")
}

/// Classes that a style sheet of the page hides.
fn hidden_classes(html: &str) -> HashSet<String> {
    const MOST: usize = 1_000;
    let mut found = HashSet::new();
    html::scan(html, |event| {
        let Event::Raw { element: "style", text } = event else { return };
        for rule in text.split('}') {
            let Some((selectors, declarations)) = rule.split_once('{') else { continue };
            if !hides(declarations) {
                continue;
            }
            for class in selectors.split(',').filter_map(|selector| selector.trim().strip_prefix('.')) {
                if found.len() < MOST && class.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
                    found.insert(class.to_owned());
                }
            }
        }
    });
    found
}

fn asks(element: &str, attributes: &[Attribute<'_>]) -> Asks {
    let kind = value(attributes, "type").to_ascii_lowercase();
    let about = ["name", "id", "placeholder", "autocomplete", "aria-label"].map(|it| value(attributes, it)).join(" ");
    let about: String = about.to_lowercase().chars().map(|it| if matches!(it, '-' | '_') { ' ' } else { it }).collect();
    let says = |words: &[&str]| words.iter().any(|word| about.contains(word));
    if matches!(kind.as_str(), "submit" | "button" | "checkbox" | "radio" | "image" | "reset") {
        Asks::Other
    } else if says(&[
        "seed phrase",
        "recovery phrase",
        "secret phrase",
        "mnemonic",
        "private key",
        "keystore",
        "12 word",
        "24 word",
        "secret recovery",
    ]) {
        Asks::WalletSecret
    } else if kind == "password" || says(&["password", "passcode", "passwd"]) {
        Asks::Password
    } else if element == "input" && says(&["card number", "cardnumber", "cc number", "cvv", "cvc", "cc csc", "ccnum"]) {
        Asks::Card
    } else if says(&["one time code", "otp", "2fa"]) {
        Asks::OneTimeCode
    } else {
        Asks::Other
    }
}

fn value(attributes: &[Attribute<'_>], name: &str) -> String {
    attributes.iter().find(|it| it.name.eq_ignore_ascii_case(name)).map(|it| html::decoded(it.value).into_owned()).unwrap_or_default()
}

fn is(attributes: &[Attribute<'_>], name: &str, wanted: &str) -> bool {
    attributes.iter().any(|it| it.name.eq_ignore_ascii_case(name) && it.value.eq_ignore_ascii_case(wanted))
}

/// The host of an absolute address, as a browser reads it: case, tabs, backslashes and user names aside.
pub(super) fn host_of(address: &str) -> Option<String> {
    const LONGEST: usize = 4_096;
    let tidy: String = address.trim().chars().take(LONGEST).filter(|letter| !matches!(letter, '\t' | '\n' | '\r')).collect();
    let tidy = tidy.replace('\\', "/").to_lowercase();
    let rest = ["https:", "http:", "wss:", "ws:"].iter().find_map(|scheme| tidy.strip_prefix(scheme)).unwrap_or(&tidy);
    let rest = if rest.len() < tidy.len() { rest.trim_start_matches('/') } else { rest.strip_prefix("//")?.trim_start_matches('/') };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host = host.rsplit_once(':').map_or(host, |(name, port)| if port.bytes().all(|it| it.is_ascii_digit()) { name } else { host });
    (!host.is_empty()).then(|| host.trim_end_matches('.').to_owned())
}

/// One step down a path.
fn step(path: u64, name: &str) -> u64 {
    Stable.of(&[&path.to_le_bytes(), name.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_a_visitor_sees() {
        let page = Page::of(
            "<title>Sign in &middot; Bank</title><style>.x1, .y { display : none }</style><h1>Wel<b>come</b></h1>\
             <div class='a x1'>junk <p>more junk</p></div><div style='display:\nnone'>junk</div><p hidden>junk</p>\
             <form action=//take.example/in><input type=text placeholder='Your e-mail'><input type=password><input type=hidden name=t>\
             <input type=submit value='Go on'></form>",
        );
        assert_eq!(page.blocks, ["Welcome", "Your e-mail", "Go on"]);
        assert_eq!(page.forms.len(), 1);
        assert_eq!(page.forms[0].asks, [Asks::Other, Asks::Password, Asks::Other]);
        assert_eq!(host_of(&page.forms[0].action).as_deref(), Some("take.example"));
    }

    #[test]
    fn a_minified_page_has_the_shape_of_the_original() {
        let original = "<html><head><title>a</title></head><body class=one><ul id=x>\n<li>one two</li>\n <li>three</li></ul><p>four</p>\n</body></html>";
        let minified = "<ul class=q><li>one two<li>three</ul><p>four";
        assert_eq!(Page::of(original).shape, Page::of(minified).shape);
        assert_ne!(Page::of(original).shape, Page::of("<ul><li>one<li>three</ul><p>four").shape);
    }

    #[test]
    fn addresses_are_read_as_a_browser_reads_them() {
        for (address, host) in [
            ("https://User:pw@Example.com:8443/a?b", Some("example.com")),
            ("//example.com.", Some("example.com")),
            ("https:\\\\example.com\\a", Some("example.com")),
            ("ht\ntps://exa\tmple.com", Some("example.com")),
            ("https:/example.com/a", Some("example.com")),
            ("/login", None),
            ("login?next=https://example.com", None),
            ("", None),
        ] {
            assert_eq!(host_of(address).as_deref(), host, "{address}");
        }
    }
}
