//! Where to go after sign-in: a path of ours and nothing else.

/// The path and query to go on to; the home page when what was given could lead anywhere else.
pub fn safe(next: Option<&str>) -> &str {
    match next {
        Some(path) if is_own(path) => path,
        _ => "/",
    }
}

/// Browsers treat `//host`, `/\host` and paths with control characters in them as other sites.
fn is_own(path: &str) -> bool {
    let bytes = path.as_bytes();
    bytes.first() == Some(&b'/')
        && bytes.len() <= 512
        && !matches!(bytes.get(1), Some(b'/' | b'\\'))
        && bytes.iter().all(|b| b.is_ascii_graphic() && *b != b'\\')
        && !path.starts_with("/sign-in")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_ours_is_gone_on_to() {
        assert_eq!(safe(Some("/device?user_code=BCDF-GHJK")), "/device?user_code=BCDF-GHJK");
        for bad in
            ["https://evil.test/", "//evil.test", "/\\evil.test", "/\t/evil.test", "/a\r\nSet-Cookie: x", "", "evil", "/sign-in?next=/"]
        {
            assert_eq!(safe(Some(bad)), "/", "{bad:?} was taken");
        }
    }
}
