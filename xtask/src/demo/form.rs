//! Reads the forms of a page, the way a browser without JavaScript would, and fills them in.
//!
//! It knows HTML as far as our own server-rendered pages use it; field names come from the page, never from here,
//! except for the few that a person would type something into.

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    pub action: String,
    pub fields: Vec<Field>,
    /// Name and value of each submit button; an unnamed button has an empty name.
    pub buttons: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub value: String,
    pub kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Hidden,
    Typed,
    /// A box or a choice that is sent only when it is ticked.
    Ticked,
}

impl Form {
    /// All forms of a page, with what they would send if nothing were changed.
    pub fn all(page: &str) -> Vec<Self> {
        let mut found = Vec::new();
        let mut rest = page;
        while let Some((tag, after)) = next_tag(rest, "form") {
            let end = after.find("</form").unwrap_or(after.len());
            found.push(read(&tag, &after[..end]));
            rest = &after[end..];
        }
        found
    }

    pub fn asks_for(&self, name: &str) -> bool {
        self.fields.iter().any(|field| field.name == name && field.kind == Kind::Typed)
    }

    /// The button with this name or value.
    pub fn button(&self, word: &str) -> Option<&(String, String)> {
        self.buttons.iter().find(|(name, value)| name == word || value == word)
    }

    pub fn type_in(&mut self, name: &str, text: &str) {
        for field in self.fields.iter_mut().filter(|field| field.name == name && field.kind == Kind::Typed) {
            text.clone_into(&mut field.value);
        }
    }

    /// What pressing a button sends.
    pub fn body(&self, button: Option<&(String, String)>) -> String {
        let pressed = button.filter(|(name, _)| !name.is_empty()).map(|(name, value)| (name.as_str(), value.as_str()));
        let fields = self.fields.iter().map(|field| (field.name.as_str(), field.value.as_str()));
        fields.chain(pressed).map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect::<Vec<_>>().join("&")
    }
}

/// The page as a person would read it, shortened: for saying what stood there instead of what was expected.
pub fn readable(page: &str) -> String {
    let body = page.split_once("<body").map_or(page, |(_, body)| body.split_once('>').map_or("", |(_, rest)| rest));
    let mut text = String::new();
    let mut in_tag = false;
    for c in body.chars() {
        match c {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                text.push(' ');
            }
            _ if !in_tag => text.push(c),
            _ => {}
        }
    }
    let words = decoded(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(600).collect()
}

fn read(tag: &Tag, inside: &str) -> Form {
    let mut form = Form { action: tag.get("action").unwrap_or_default(), fields: Vec::new(), buttons: Vec::new() };
    let mut rest = inside;
    while let Some((tag, after)) = next_any(rest, &["input", "button", "select", "textarea"]) {
        rest = after;
        let name = tag.get("name").unwrap_or_default();
        match tag.name.as_str() {
            "button" if tag.get("type").is_none_or(|kind| kind == "submit") => {
                form.buttons.push((name, tag.get("value").unwrap_or_default()))
            }
            "button" => {}
            "select" => {
                let end = after.find("</select").unwrap_or(after.len());
                form.add(name, selected(&after[..end]), Kind::Typed);
            }
            "textarea" => {
                let end = after.find("</textarea").unwrap_or(after.len());
                form.add(name, decoded(&after[..end]), Kind::Typed);
            }
            _ => form.add_input(&tag, name),
        }
    }
    form
}

impl Form {
    fn add(&mut self, name: String, value: String, kind: Kind) {
        if !name.is_empty() {
            self.fields.push(Field { name, value, kind });
        }
    }

    fn add_input(&mut self, tag: &Tag, name: String) {
        let value = tag.get("value");
        let ticked = tag.has("checked");
        match tag.get("type").unwrap_or_default().as_str() {
            "submit" => self.buttons.push((name, value.unwrap_or_default())),
            "hidden" => self.add(name, value.unwrap_or_default(), Kind::Hidden),
            // a box that must be ticked is a question to the person, and the answer is yes
            "checkbox" if ticked || tag.has("required") => self.add(name, value.unwrap_or_else(|| "on".into()), Kind::Ticked),
            "radio" => self.choose(name, value.unwrap_or_else(|| "on".into()), ticked),
            "checkbox" | "button" | "reset" | "image" | "file" => {}
            _ => self.add(name, value.unwrap_or_default(), Kind::Typed),
        }
    }

    /// The ticked choice of a group, or its first.
    fn choose(&mut self, name: String, value: String, ticked: bool) {
        match self.fields.iter_mut().find(|field| field.name == name && field.kind == Kind::Ticked) {
            Some(field) if ticked => field.value = value,
            Some(_) => {}
            None => self.add(name, value, Kind::Ticked),
        }
    }
}

fn selected(options: &str) -> String {
    let mut first = None;
    let mut rest = options;
    while let Some((tag, after)) = next_tag(rest, "option") {
        let text = decoded(after.split('<').next().unwrap_or_default().trim());
        let value = tag.get("value").unwrap_or(text);
        if tag.has("selected") {
            return value;
        }
        first.get_or_insert(value);
        rest = after;
    }
    first.unwrap_or_default()
}

#[derive(Debug)]
struct Tag {
    name: String,
    attributes: Vec<(String, Option<String>)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(found, _)| found == name).and_then(|(_, value)| value.clone())
    }

    fn has(&self, name: &str) -> bool {
        self.attributes.iter().any(|(found, _)| found == name)
    }
}

fn next_tag<'a>(page: &'a str, name: &str) -> Option<(Tag, &'a str)> {
    next_any(page, &[name])
}

/// The next opening tag with one of these names, and what follows it.
fn next_any<'a>(page: &'a str, names: &[&str]) -> Option<(Tag, &'a str)> {
    let mut rest = page;
    loop {
        rest = &rest[rest.find('<')? + 1..];
        let length = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
        let name = rest[..length].to_ascii_lowercase();
        if names.contains(&name.as_str()) {
            let (attributes, after) = attributes(&rest[length..]);
            return Some((Tag { name, attributes }, after));
        }
    }
}

type Attributes = Vec<(String, Option<String>)>;

fn attributes(text: &str) -> (Attributes, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            return (found, rest);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (found, after);
        }
        let length = rest.find(|c: char| c.is_whitespace() || matches!(c, '=' | '>' | '/')).unwrap_or(rest.len());
        let name = rest[..length].to_ascii_lowercase();
        rest = rest[length..].trim_start();
        let Some(after) = rest.strip_prefix('=') else {
            if length == 0 {
                rest = rest.get(1..).unwrap_or_default();
            } else {
                found.push((name, None));
            }
            continue;
        };
        let (value, after) = attribute_value(after.trim_start());
        found.push((name, Some(decoded(value))));
        rest = after;
    }
}

fn attribute_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(inside) = text.strip_prefix(quote) {
            return inside.split_once(quote).unwrap_or((inside, ""));
        }
    }
    text.split_at(text.find(|c: char| c.is_whitespace() || c == '>').unwrap_or(text.len()))
}

/// Resolves character references.
fn decoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let Some(end) = rest.find(';').filter(|end| *end <= 10) else {
            out.push('&');
            rest = &rest[1..];
            continue;
        };
        match character(&rest[1..end]) {
            Some(c) => out.push(c),
            None => out.push_str(&rest[..=end]),
        }
        rest = &rest[end + 1..];
    }
    out + rest
}

fn character(reference: &str) -> Option<char> {
    match reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => {
            let number = reference.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r##"<!doctype html><body><h1>Let &quot;demo&quot; act?</h1>
<form method="post" action="/sign-out"><button>Sign out</button></form>
<form method=post action="/device?next=%2F&amp;a=1">
  <input type="hidden" name="csrf" value="a&#43;b&amp;c">
  <input name="cap" value="100.00" required>
  <label><input type="checkbox" name="export" checked> export</label>
  <input type="checkbox" name="other" value="1">
  <input type="checkbox" name="same_code" value="yes" required>
  <input type="radio" name="card" value="4242"><input type="radio" name="card" value="0002">
  <select name="project"><option value="a">A</option><option value="b" selected>B</option></select>
  <button name="decision" value="accept">Accept</button>
  <button name="decision" value="deny">Deny</button>
</form></body>"##;

    #[test]
    fn a_form_sends_what_a_browser_would_send() {
        let forms = Form::all(PAGE);
        assert_eq!(forms.len(), 2);
        let form = &forms[1];
        assert_eq!(form.action, "/device?next=%2F&a=1");
        assert_eq!(
            form.body(form.button("accept")),
            "csrf=a%2Bb%26c&cap=100.00&export=on&same_code=yes&card=4242&project=b&decision=accept"
        );
    }

    #[test]
    fn only_what_is_typed_can_be_typed_in() {
        let mut form = Form::all(PAGE).remove(1);
        form.type_in("cap", "250");
        form.type_in("csrf", "mine");
        assert!(form.asks_for("cap") && !form.asks_for("csrf"));
        assert!(form.body(None).starts_with("csrf=a%2Bb%26c&cap=250&"));
    }

    #[test]
    fn a_page_is_read_back_as_words() {
        assert!(readable(PAGE).starts_with("Let \"demo\" act? Sign out"), "{}", readable(PAGE));
    }
}
