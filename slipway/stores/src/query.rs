//! The query strings of the bindings protocol.

use std::borrow::Cow;

/// The value of a parameter, decoded.
pub fn find(query: Option<&str>, name: &str) -> Option<String> {
    query.unwrap_or_default().split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name).then(|| decoded(&value.replace('+', " ")).map(Cow::into_owned)).flatten()
    })
}

/// Text with its percent signs resolved; nothing when that is not UTF-8.
pub fn decoded(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_broken_ones_are_none() {
        let query = Some("prefix=a%2Fb+c&cursor=&urlencoded=true&bad=%zz");
        assert_eq!(find(query, "prefix").as_deref(), Some("a/b c"));
        assert_eq!(find(query, "cursor").as_deref(), Some(""));
        assert_eq!(find(query, "bad"), None);
        assert_eq!(find(None, "prefix"), None);
        assert_eq!(decoded("%ff"), None);
    }
}
