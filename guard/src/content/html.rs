//! HTML as far as a detector needs it: tags, attributes and text, in one pass, from any bytes at all.
//!
//! A browser repairs what is broken; a hostile page is broken on purpose. This scanner follows the tokenizer of the
//! HTML standard (section 13.2.5) where it matters (raw text elements, comments, unquoted attributes) and never goes
//! back: every byte is looked at a bounded number of times, which the usual parsers do not promise for a tag with a
//! million attributes.

use std::borrow::Cow;

/// More attributes than this on one tag are skipped over.
const MOST_ATTRIBUTES: usize = 64;

/// Longer names are no element of HTML.
const LONGEST_NAME: usize = 32;

/// One attribute, its value as written; see [`decoded`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

/// What the scanner meets. Names are as written: compare them without case.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Event<'e, 'a> {
    Open {
        name: &'e str,
        attributes: &'e [Attribute<'a>],
    },
    Close {
        name: &'e str,
    },
    Text(&'a str),
    /// What stands inside `script`, `style` and the like, as written.
    Raw {
        element: &'e str,
        text: &'a str,
    },
}

/// Elements whose content is not markup.
const RAW: [&str; 8] = ["script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"];

pub(super) fn scan<'a>(html: &'a str, mut visit: impl FnMut(Event<'_, 'a>)) {
    let mut rest = html;
    let mut attributes = Vec::new();
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        if !text.is_empty() {
            visit(Event::Text(text));
        }
        let inside = &tag[1..];
        rest = match inside.as_bytes().first() {
            Some(b'!') if inside.starts_with("!--") => after(&inside[3..], "-->"),
            Some(b'!' | b'?') => after(inside, ">"),
            Some(b'/') if inside.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic) => {
                let (name, left) = name(&inside[1..]);
                visit(Event::Close { name: &name });
                after(left, ">")
            }
            Some(letter) if letter.is_ascii_alphabetic() => {
                let (name, left) = name(inside);
                attributes.clear();
                let left = read_attributes(left, &mut attributes);
                visit(Event::Open { name: &name, attributes: &attributes });
                if RAW.contains(&&*name) {
                    let (raw, left) = until_closed(left, &name);
                    visit(Event::Raw { element: &name, text: raw });
                    left
                } else {
                    left
                }
            }
            _ => {
                visit(Event::Text(&tag[..1]));
                inside
            }
        };
    }
    if !rest.is_empty() {
        visit(Event::Text(rest));
    }
}

/// Character references resolved: the numeric ones and the few names that hide markup.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (letter, length) = reference(rest).unwrap_or(('&', 1));
        out.push(letter);
        rest = &rest[length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character that the reference at the start stands for, and how long it is.
fn reference(text: &str) -> Option<(char, usize)> {
    const LONGEST: usize = 12;
    let bytes = &text.as_bytes()[1..text.len().min(LONGEST)];
    let end = bytes.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'#')).unwrap_or(bytes.len());
    let name = std::str::from_utf8(&bytes[..end]).ok()?;
    let length = 1 + end + usize::from(bytes.get(end) == Some(&b';'));
    let letter = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "copy" => '©',
        "reg" => '®',
        "shy" => '\u{ad}',
        "colon" => ':',
        "sol" => '/',
        "period" => '.',
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((letter, length))
}

fn name(text: &str) -> (String, &str) {
    let end = text.bytes().position(|byte| byte.is_ascii_whitespace() || byte == b'/' || byte == b'>').unwrap_or(text.len());
    (text[..end].chars().take(LONGEST_NAME).collect::<String>().to_ascii_lowercase(), &text[end..])
}

/// Reads up to and with the `>` of the tag.
fn read_attributes<'a>(text: &'a str, attributes: &mut Vec<Attribute<'a>>) -> &'a str {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_ascii_whitespace() || letter == '/');
        if rest.is_empty() {
            return rest;
        }
        if let Some(left) = rest.strip_prefix('>') {
            return left;
        }
        // a leading `=` belongs to the name, or nothing would be consumed
        let end = rest.bytes().skip(1).position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>' | b'='));
        let end = boundary(rest, end.map_or(rest.len(), |at| at + 1));
        let (name, left) = rest.split_at(end);
        let spaced = left.trim_start_matches(|letter: char| letter.is_ascii_whitespace());
        let (value, left) = match spaced.strip_prefix('=') {
            Some(value) => read_value(value.trim_start_matches(|letter: char| letter.is_ascii_whitespace())),
            None => ("", left),
        };
        if attributes.len() < MOST_ATTRIBUTES {
            attributes.push(Attribute { name, value });
        }
        rest = left;
    }
}

fn read_value(text: &str) -> (&str, &str) {
    for quote in ['"', '\''] {
        if let Some(value) = text.strip_prefix(quote) {
            return value.split_once(quote).unwrap_or((value, ""));
        }
    }
    let end = text.bytes().position(|byte| byte.is_ascii_whitespace() || byte == b'>').unwrap_or(text.len());
    text.split_at(end)
}

/// Up to `</name`, and what stands after that tag; all of it when it is never closed.
fn until_closed<'a>(text: &'a str, name: &str) -> (&'a str, &'a str) {
    let mut from = 0;
    while let Some(found) = text[from..].find("</") {
        let at = from + found;
        let tail = &text.as_bytes()[at + 2..];
        if tail.len() >= name.len() && tail[..name.len()].eq_ignore_ascii_case(name.as_bytes()) {
            return (&text[..at], after(&text[at..], ">"));
        }
        from = at + 2;
    }
    (text, "")
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

fn boundary(text: &str, at: usize) -> usize {
    (at..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(html: &str) -> Vec<String> {
        let mut out = Vec::new();
        scan(html, |event| {
            out.push(match event {
                Event::Open { name, attributes } => {
                    let list: Vec<String> = attributes.iter().map(|it| format!("{}={}", it.name, it.value)).collect();
                    format!("+{name} {}", list.join(",")).trim_end().to_owned()
                }
                Event::Close { name } => format!("-{name}"),
                Event::Text(text) => text.to_owned(),
                Event::Raw { element, text } => format!("{element}:{text}"),
            });
        });
        out
    }

    #[test]
    fn tags_and_text_are_told_apart_as_a_browser_does() {
        assert_eq!(told("<p>a<b>c</b>"), ["+p", "a", "+b", "c", "-b"]);
        assert_eq!(told("<INPUT type=password NAME='a b' required>"), ["+input type=password,NAME=a b,required="]);
        assert_eq!(told("<a href=x/y>z"), ["+a href=x/y", "z"]);
        assert_eq!(told("1 < 2"), ["1 ", "<", " 2"]);
        assert_eq!(told("<!-- <form> --><i>"), ["+i"]);
        assert_eq!(told("<script>if (a</b) '<form>'</SCRIPT >x"), ["+script", "script:if (a</b) '<form>'", "x"]);
        assert_eq!(told("<br/><a =b c = d>"), ["+br", "+a =b=,c=d"]);
        assert_eq!(told("<p title=\"never closed>"), ["+p title=never closed>"]);
    }

    #[test]
    fn references_are_resolved_and_the_rest_is_left() {
        assert_eq!(decoded("&lt;form&gt; &#x70;&#97; &copy; & &unknown; &#xFFFFFFFF;"), "<form> pa © & &unknown; &#xFFFFFFFF;");
    }
}
