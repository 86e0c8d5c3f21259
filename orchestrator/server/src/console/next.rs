//! Where to go after sign-in: a path of ours and nothing else.

use purser_identity::Ticket;
use purser_values::Secret;
use purser_values::name::Email;

/// Longest way on, in bytes: a provider's callback carries a code and a state.
const NEXT_BYTES: usize = 4_096;

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
        && bytes.len() <= NEXT_BYTES
        && !matches!(bytes.get(1), Some(b'/' | b'\\'))
        && bytes.iter().all(|b| b.is_ascii_graphic() && *b != b'\\')
        && !path.starts_with("/sign-in")
}

/// What lets somebody in, when the way on leads back to an invitation or to the first owner's link.
pub fn ticket(next: &str) -> Option<Ticket> {
    let (path, query) = next.split_once('?')?;
    let token = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "token")?.1.into_owned();
    match path {
        "/invitation" => Some(Ticket::Invitation(Secret::new(token))),
        "/bootstrap" => Some(Ticket::Bootstrap(Secret::new(token))),
        _ => None,
    }
}

/// The address of the sign-in that goes on to a path of ours.
pub fn sign_in_for(next: &str) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("/sign-in?{query}")
}

/// The same with the address that is expected.
pub fn sign_in_as(next: &str, email: &Email) -> String {
    let query: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("email", email.as_str()).finish();
    format!("{}&{query}", sign_in_for(next))
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
