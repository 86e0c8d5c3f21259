//! What Workers read in `request.cf`: the connection as the edge saw it. What is not known here (where in the world a visitor is) is
//! `null` or absent, never guessed.

use http::{HeaderValue, Version};
use rustls::{CipherSuite, ProtocolVersion, ServerConnection};
use serde_json::{Value, json};

/// The header by which workerd is told; it takes it away before code sees the request. Visitors cannot send it: the edge drops it.
pub const HEADER: &str = "x-slipway-cf";
/// Where the edge is. There is one place.
const COLO: &str = "SLP";

/// One connection's facts. Empty in the clear, as clients of Cloudflare know it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    tls_version: &'static str,
    tls_cipher: &'static str,
}

impl Facts {
    /// Of a finished handshake.
    #[must_use]
    pub fn of(tls: &ServerConnection) -> Self {
        let tls_version = match tls.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLSv1.3",
            Some(ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "",
        };
        Self { tls_version, tls_cipher: tls.negotiated_cipher_suite().map_or("", |suite| cipher(suite.suite())) }
    }

    /// The facts of requests in this version of HTTP.
    #[must_use]
    pub fn header(&self, version: Version) -> Option<HeaderValue> {
        HeaderValue::try_from(self.json(version).to_string()).ok()
    }

    fn json(&self, version: Version) -> Value {
        json!({
            "httpProtocol": protocol(version),
            "tlsVersion": self.tls_version,
            "tlsCipher": self.tls_cipher,
            "tlsClientAuth": {"certPresented": "0", "certRevoked": "0", "certVerified": "NONE"},
            "colo": COLO,
            "country": null,
            "asn": null,
            "requestPriority": "",
            "edgeRequestKeepAliveStatus": 1,
        })
    }
}

const fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// The name that code compares with, which is OpenSSL's.
const fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "AEAD-AES128-GCM-SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "AEAD-AES256-GCM-SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "AEAD-CHACHA20-POLY1305-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 => "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 => "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => "ECDHE-RSA-CHACHA20-POLY1305",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_null_and_not_guessed() {
        let facts = Facts { tls_version: "TLSv1.3", tls_cipher: "AEAD-AES128-GCM-SHA256" };
        let told: Value = serde_json::from_slice(facts.header(Version::HTTP_2).unwrap().as_bytes()).unwrap();
        assert_eq!((&told["httpProtocol"], &told["tlsVersion"]), (&json!("HTTP/2"), &json!("TLSv1.3")));
        assert!(told["country"].is_null() && told["asn"].is_null() && told.get("city").is_none());
        let plain = Facts::default().json(Version::HTTP_11);
        assert_eq!((&plain["httpProtocol"], &plain["tlsVersion"]), (&json!("HTTP/1.1"), &json!("")));
    }
}
