//! One name for the API, the pages and the provider's endpoints: that of `public_url`. A page of somebody else's whose name was made to
//! point here (DNS rebinding) would otherwise be of the same origin as what answers.
//!
//! Addresses, and names that no name server can be asked for, stay open: nobody can make them point elsewhere, and whoever watches
//! over the service has nothing else.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::uri::Authority;
use http::{StatusCode, header};
use purser_http::Problem;

/// Refuses a request for another name.
pub async fn own(State(name): State<Arc<str>>, request: Request, next: Next) -> Response {
    let asked = request.uri().authority().cloned();
    let asked = match (asked, request.headers().get(header::HOST)) {
        (Some(asked), _) => Some(asked),
        (None, Some(host)) => match host.to_str().ok().and_then(|host| host.parse::<Authority>().ok()) {
            Some(asked) => Some(asked),
            None => return refusal(),
        },
        // no browser leaves it out
        (None, None) => None,
    };
    if asked.is_none_or(|asked| answers_to(asked.host(), &name)) { next.run(request).await } else { refusal() }
}

fn answers_to(asked: &str, name: &str) -> bool {
    let local = asked.eq_ignore_ascii_case("localhost") || asked.to_ascii_lowercase().ends_with(".localhost");
    let address = asked.parse::<IpAddr>().is_ok() || asked.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_ok();
    asked.eq_ignore_ascii_case(name) || local || address
}

fn refusal() -> Response {
    let text = "this is not the host that the request is for";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", text).hint("use the address that `public_url` names").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_name_and_what_nobody_can_point_elsewhere_is_answered() {
        for own in ["cloud.example", "CLOUD.example", "localhost", "slipway.localhost", "192.0.2.1", "[2001:db8::1]"] {
            assert!(answers_to(own, "cloud.example"), "{own}");
        }
        for other in ["evil.example", "cloud.example.evil.example", "xcloud.example", "localhost.evil.example", "1.2.3.4.evil.example", ""]
        {
            assert!(!answers_to(other, "cloud.example"), "{other}");
        }
    }
}
