//! Where to go after sign-in and sign-out: a path of ours and nothing else.

const LONGEST: usize = 1_024;

/// The path and query to go on to; the connections when what was given could lead anywhere else.
pub fn safe(next: Option<&str>) -> &str {
    match next {
        Some(path) if is_own(path) => path,
        _ => "/connections",
    }
}

/// Browsers treat `//host`, `/\host` and paths with control characters in them as other sites.
fn is_own(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.first() == Some(&b'/')
        && bytes.len() <= LONGEST
        && !matches!(bytes.get(1), Some(b'/' | b'\\'))
        && bytes.iter().all(|b| b.is_ascii_graphic() && *b != b'\\')
        && !path.starts_with("/sign-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_ours_is_gone_on_to() {
        assert_eq!(safe(Some("/link?state=abc")), "/link?state=abc");
        for bad in ["https://evil.test/", "//evil.test", "/\\evil.test", "/\t/evil.test", "/a\r\nSet-Cookie: x", "", "evil", "/sign-in"] {
            assert_eq!(safe(Some(bad)), "/connections", "{bad:?} was taken");
        }
    }
}
