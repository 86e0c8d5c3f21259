//! Which header fields pass the edge, in both directions.
//!
//! Fields that belong to one hop stay on it (RFC 9110 section 7.6.1). Fields in which the edge vouches for something (`cf-*`,
//! `x-forwarded-*`, `x-slipway-*`, `forwarded`, `x-real-ip`, `true-client-ip`) are the edge's alone: what a visitor sends in them is dropped, or
//! a Worker that trusts them could be lied to.

use http::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue, SERVER, UPGRADE};

use crate::cf;
use crate::connection::Connection;

/// What the edge tells a Worker about a request.
pub struct Facts<'a> {
    pub connection: &'a Connection,
    /// What code reads in `request.cf`.
    pub cf: Option<HeaderValue>,
    pub ray: &'a str,
    /// A WebSocket handshake, whose two hop-by-hop fields go through.
    pub websocket: bool,
}

const HOP_BY_HOP: [&str; 8] =
    ["keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "expect"];
const VOUCHED_PREFIXES: [&str; 3] = ["cf-", "x-forwarded-", "x-slipway-"];
const VOUCHED: [&str; 3] = ["forwarded", "x-real-ip", "true-client-ip"];

/// Whether a request asks to become a WebSocket (RFC 6455 section 4.1). No other upgrade is passed on.
#[must_use]
pub fn is_websocket(headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName, token: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .any(|t| t.trim().eq_ignore_ascii_case(token))
    };
    says(&CONNECTION, "upgrade") && says(&UPGRADE, "websocket")
}

/// Rewrites a visitor's header for the Worker.
pub fn to_worker(headers: &mut HeaderMap, facts: &Facts<'_>) {
    drop_hop_by_hop(headers);
    let vouched: Vec<HeaderName> = headers
        .keys()
        .filter(|name| VOUCHED.contains(&name.as_str()) || VOUCHED_PREFIXES.iter().any(|p| name.as_str().starts_with(p)))
        .cloned()
        .collect();
    for name in vouched {
        headers.remove(name);
    }
    if facts.websocket {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    }
    let (scheme, visitor) = if facts.connection.is_https() { ("https", r#"{"scheme":"https"}"#) } else { ("http", r#"{"scheme":"http"}"#) };
    if let Some(remote) = &facts.connection.remote_text {
        headers.insert("cf-connecting-ip", remote.clone());
        headers.insert("x-forwarded-for", remote.clone());
        headers.insert("x-real-ip", remote.clone());
    }
    if let Some(cf) = &facts.cf {
        headers.insert(cf::HEADER, cf.clone());
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static(scheme));
    headers.insert("cf-visitor", HeaderValue::from_static(visitor));
    if let Ok(ray) = HeaderValue::try_from(facts.ray) {
        headers.insert("cf-ray", ray);
    }
}

/// Rewrites an answer's header for the visitor.
pub fn to_visitor(headers: &mut HeaderMap, ray: &str, websocket: bool) {
    let upgrade = headers.get(UPGRADE).cloned().filter(|_| websocket);
    drop_hop_by_hop(headers);
    if let Some(upgrade) = upgrade {
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(UPGRADE, upgrade);
    }
    headers.insert(SERVER, HeaderValue::from_static("slipway"));
    if let Ok(ray) = HeaderValue::try_from(ray) {
        headers.insert("cf-ray", ray);
    }
}

/// Removes what belongs to one hop.
pub fn drop_hop_by_hop(headers: &mut HeaderMap) {
    if headers.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
            .filter_map(|name| name.trim().parse().ok())
            // Naming these as hop-by-hop would only serve to hide them from the Worker.
            .filter(|name: &HeaderName| name != http::header::HOST && name != http::header::CONTENT_LENGTH)
            .collect();
        for name in named {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    headers.remove(UPGRADE);
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
        fields.iter().map(field).collect()
    }

    fn connection() -> Connection {
        let entrance = crate::host::Entrance::Https { server_name: None };
        Connection::new(entrance, "192.0.2.7".parse().unwrap(), std::sync::Arc::default(), cf::Facts::default(), http::Version::HTTP_11)
    }

    fn facts(connection: &Connection, websocket: bool) -> Facts<'_> {
        Facts { connection, cf: connection.cf(http::Version::HTTP_11), ray: "0123456789abcdef", websocket }
    }

    #[test]
    fn a_visitor_cannot_speak_for_the_edge() {
        let mut headers = map(&[
            ("cf-connecting-ip", "1.1.1.1"),
            ("cf-worker", "evil"),
            ("x-forwarded-for", "1.1.1.1"),
            ("x-forwarded-host", "bank.test"),
            ("x-slipway-account", "other"),
            ("x-slipway-cf", "{\"country\":\"XX\"}"),
            ("true-client-ip", "1.1.1.1"),
            ("forwarded", "for=1.1.1.1"),
            ("accept", "*/*"),
        ]);
        to_worker(&mut headers, &facts(&connection(), false));
        assert_eq!(headers["cf-connecting-ip"], "192.0.2.7");
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["x-forwarded-proto"], "https");
        for gone in ["cf-worker", "x-forwarded-host", "x-slipway-account", "true-client-ip", "forwarded"] {
            assert!(!headers.contains_key(gone), "`{gone}` went through");
        }
        assert_eq!(headers["accept"], "*/*");
        assert!(headers["x-slipway-cf"].to_str().unwrap().contains("\"country\":null"), "a visitor said where it is");
    }

    #[test]
    fn hop_by_hop_fields_stay_on_their_hop() {
        let mut headers = map(&[
            ("connection", "keep-alive, x-private"),
            ("x-private", "1"),
            ("keep-alive", "timeout=5"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("host", "a.test"),
        ]);
        to_worker(&mut headers, &facts(&connection(), false));
        for gone in ["connection", "x-private", "keep-alive", "te", "transfer-encoding", "upgrade"] {
            assert!(!headers.contains_key(gone), "`{gone}` went through");
        }
        assert_eq!(headers["host"], "a.test");
    }

    #[test]
    fn the_host_cannot_be_named_away() {
        let mut headers = map(&[("connection", "host, content-length"), ("host", "a.test"), ("content-length", "3")]);
        to_worker(&mut headers, &facts(&connection(), false));
        assert!(headers.contains_key("host") && headers.contains_key("content-length"));
    }

    #[test]
    fn a_websocket_handshake_keeps_its_two_fields() {
        let mut headers = map(&[("connection", "keep-alive, Upgrade"), ("upgrade", "WebSocket"), ("sec-websocket-key", "x")]);
        assert!(is_websocket(&headers));
        to_worker(&mut headers, &facts(&connection(), true));
        assert_eq!((headers["connection"].as_bytes(), headers["upgrade"].as_bytes()), (&b"Upgrade"[..], &b"websocket"[..]));
        assert!(!is_websocket(&map(&[("connection", "upgrade"), ("upgrade", "h2c")])));
        assert!(!is_websocket(&map(&[("upgrade", "websocket")])));
    }
}
