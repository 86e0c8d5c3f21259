//! Looks through the wrappers that hide a page from whoever reads the file: `document.write(atob("…"))`, escapes,
//! lists of character codes, `data:` addresses, `srcdoc`.
//!
//! Nothing is run. Every encoding of a string that a script can undo with one call is undone here, wherever it stands,
//! again and again up to a depth. INVARIANT (linear): all that is decoded from one file is bounded by a constant.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Wrappers within wrappers.
const DEEPEST: usize = 5;

/// Shorter runs are names, hashes and pictures of one pixel.
const SHORTEST_RUN: usize = 48;

/// All layers of one file together.
pub(super) const MOST_DECODED: usize = 16 * 1024 * 1024;

/// A layer that was found under wrappers, outermost first.
pub(super) fn layers(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut budget = MOST_DECODED;
    let mut from = 0;
    decode(text, &mut found, &mut budget);
    for _ in 1..DEEPEST {
        let until = found.len();
        for at in from..until {
            let layer = std::mem::take(&mut found[at]);
            decode(&layer, &mut found, &mut budget);
            found[at] = layer;
        }
        from = until;
    }
    found
}

/// Every layer right below this text.
fn decode(text: &str, found: &mut Vec<String>, budget: &mut usize) {
    let mut keep = |layer: String| {
        if layer.len() <= *budget && is_worth_reading(&layer) {
            *budget -= layer.len();
            found.push(layer);
        }
    };
    match joined(text) {
        Some(joined) => base64_runs(&joined, &mut keep),
        None => base64_runs(text, &mut keep),
    }
    if count_up_to(text, "%3", 4) >= 2 {
        keep(percent(text));
    }
    if count_up_to(text, "\\x3", 4) + count_up_to(text, "\\u003", 4) >= 2 {
        keep(escapes(text));
    }
    if count_up_to(text, "&lt;", 4) >= 2 || count_up_to(text, "&#", 8) >= 8 {
        keep(super::html::decoded(text).into_owned());
    }
    char_codes(text, &mut keep);
}

/// Markup, or another wrapper.
fn is_worth_reading(layer: &str) -> bool {
    let printable = layer.chars().take(512).filter(|letter| letter.is_control() && !letter.is_whitespace()).count() < 8;
    printable && (layer.contains('<') || layer.contains('%') || layer.contains('\\') || layer.len() >= SHORTEST_RUN)
}

/// Strings that a script puts together, `'ab' + 'cd'`, as one.
fn joined(text: &str) -> Option<String> {
    let mut out: Option<String> = None;
    let mut copied = 0;
    for (plus, _) in text.match_indices('+') {
        let (before, after) = (text[..plus].trim_ascii_end(), text[plus + 1..].trim_ascii_start());
        let (Some(left), Some(right)) = (before.chars().next_back(), after.chars().next()) else { continue };
        let (end, start) = (before.len() - left.len_utf8(), text.len() - after.len() + right.len_utf8());
        if matches!(left, '"' | '\'' | '`') && matches!(right, '"' | '\'' | '`') && end >= copied {
            out.get_or_insert_default().push_str(&text[copied..end]);
            copied = start;
        }
    }
    out.map(|joined| joined + &text[copied..])
}

fn base64_runs(text: &str, keep: &mut impl FnMut(String)) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while start < bytes.len() {
        let length =
            bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')).count();
        if length >= SHORTEST_RUN {
            let run = &bytes[start..start + length];
            // four letters carry three bytes; a single one left over carries nothing
            let run = if run.len() % 4 == 1 { &run[..run.len() - 1] } else { run };
            let bytes = STANDARD_NO_PAD.decode(run).or_else(|_| URL_SAFE_NO_PAD.decode(run));
            if let Some(layer) = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok()) {
                keep(layer);
            }
        }
        start += length.max(1);
    }
}

fn percent(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%').then(|| hexadecimal(bytes, at + 1, 2)).flatten();
        match code {
            Some(code) => {
                out.push(u8::try_from(code).unwrap_or(b'?'));
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// `\x3c`, `\u003c` and `\u{3c}`, and a backslash before a quote or a slash.
fn escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let tail = &rest[at + 1..];
        let bytes = tail.as_bytes();
        let (code, length) = match bytes.first() {
            Some(b'x') => (hexadecimal(bytes, 1, 2), 3),
            Some(b'u') if bytes.get(1) == Some(&b'{') => {
                let end = bytes.iter().take(10).position(|byte| *byte == b'}').unwrap_or(0);
                (if end > 2 { hexadecimal(bytes, 2, end - 2) } else { None }, end + 1)
            }
            Some(b'u') => (hexadecimal(bytes, 1, 4), 5),
            Some(b'n') => (Some(10), 1),
            _ => (None, 0),
        };
        match code.and_then(char::from_u32) {
            Some(letter) => {
                out.push(letter);
                rest = &tail[length..];
            }
            // an escaped quote, slash or anything else stands for itself
            None => rest = tail,
        }
    }
    out.push_str(rest);
    out
}

/// Lists of numbers that are letters: `String.fromCharCode(60, 104, …)`.
fn char_codes(text: &str, keep: &mut impl FnMut(String)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let mut letters = String::new();
        let mut count = 0;
        loop {
            let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let code = (1..=7).contains(&digits).then(|| text[at..at + digits].parse().ok()).flatten();
            at += digits;
            let Some(letter) = code.and_then(char::from_u32) else { break };
            letters.push(letter);
            count += 1;
            let gap = bytes[at..].iter().take_while(|byte| matches!(byte, b',' | b' ' | b'\n' | b'\r' | b'\t')).count();
            at += gap;
            if gap == 0 || !bytes.get(at).is_some_and(u8::is_ascii_digit) {
                break;
            }
        }
        if count >= SHORTEST_RUN {
            keep(letters);
        }
    }
}

fn hexadecimal(bytes: &[u8], from: usize, length: usize) -> Option<u32> {
    let digits = bytes.get(from..from + length)?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn count_up_to(text: &str, what: &str, most: usize) -> usize {
    text.match_indices(what).take(most).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "<html><body><form action=https://elsewhere.example/take><input type=password></form></body></html>";

    fn finds_the_page(wrapped: &str) -> bool {
        layers(wrapped).iter().any(|layer| layer.contains(PAGE))
    }

    #[test]
    fn every_wrapper_that_one_call_undoes_is_undone() {
        let base64 = base64::engine::general_purpose::STANDARD.encode(PAGE);
        assert!(finds_the_page(&format!("<script>document.write(atob('{base64}'))</script>")));
        assert!(finds_the_page(&format!("<iframe src=\"data:text/html;base64,{base64}\"></iframe>")));
        let twice = base64::engine::general_purpose::STANDARD.encode(format!("document.write(atob(\"{base64}\"))"));
        assert!(finds_the_page(&format!("eval(atob('{twice}'))")));
        let percent: String = PAGE.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert!(finds_the_page(&format!("document.write(unescape('{percent}'))")));
        let hexadecimal: String = PAGE.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
        assert!(finds_the_page(&format!("document.write('{hexadecimal}')")));
        let unicode: String = PAGE.bytes().map(|byte| format!("\\u00{byte:02x}")).collect();
        assert!(finds_the_page(&format!("document.write('{unicode}')")));
        let codes: Vec<String> = PAGE.bytes().map(|byte| byte.to_string()).collect();
        assert!(finds_the_page(&format!("document.write(String.fromCharCode({}))", codes.join(", "))));
        let entities: String = PAGE.bytes().map(|byte| format!("&#{byte};")).collect();
        assert!(finds_the_page(&format!("<iframe srcdoc='{entities}'></iframe>")));
    }

    #[test]
    fn what_is_decoded_is_bounded() {
        let mut wrapped = "<p>".repeat(200_000);
        for _ in 0..8 {
            wrapped = base64::engine::general_purpose::STANDARD.encode(&wrapped);
        }
        assert!(layers(&wrapped).iter().map(String::len).sum::<usize>() <= MOST_DECODED);
    }
}
