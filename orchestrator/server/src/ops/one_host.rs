//! A request says once for whom it is (RFC 9112, 3.2): without a `Host` field, or with two, whoever stands before us may have read it
//! otherwise than we do.

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use http::{Version, header};
use purser_http::Problem;
use purser_http::around::{Answer, Around};

/// The layer. Which name it is does not matter here: nothing that we say depends on it.
#[derive(Clone, Copy)]
pub struct OneHost;

impl Around for OneHost {
    fn around<F>(&self, request: Request, within: impl FnOnce(Request) -> F) -> Answer
    where
        F: Future<Output = Response> + Send + 'static,
    {
        match refusal(&request) {
            None => Box::pin(within(request)),
            Some(why) => Box::pin(async move { Problem::invalid(why.to_owned()).into_response() }),
        }
    }
}

fn refusal(request: &Request) -> Option<&'static str> {
    let mut named = request.headers().get_all(header::HOST).iter();
    match (request.version(), named.next(), named.next()) {
        (_, _, Some(_)) => Some("the header `Host` is there twice"),
        (Version::HTTP_11, None, _) => Some("the header `Host` is missing"),
        // HTTP/2 has it in the address; HTTP/1.0 need not say it
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn a_request_names_its_host_once() {
        let with = |version, hosts: &[&str]| {
            let request = hosts.iter().fold(Request::builder().version(version), |request, host| request.header(header::HOST, *host));
            refusal(&request.body(Body::empty()).unwrap()).is_none()
        };
        for (version, hosts, good) in [
            (Version::HTTP_11, &["purser.example"] as &[&str], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, &["purser.example", "evil.example"], false),
            (Version::HTTP_11, &["purser.example", "purser.example"], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_10, &["a.example", "b.example"], false),
            (Version::HTTP_2, &[], true),
        ] {
            assert_eq!(with(version, hosts), good, "{version:?} {hosts:?}");
        }
    }
}
