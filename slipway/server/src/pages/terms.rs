//! The terms of service: fixed bytes under a fixed address, so that the digest that a person accepted stays checkable.

use axum::response::IntoResponse;
use http::header;
use purser_values::Sha256Digest;
use purser_wire::manifest::TermsDocument;
use url::Url;

/// The text of version 1.0.
const TEXT: &str = include_str!("../../terms/terms-1.0.txt");
/// Where it is served.
pub const PATH: &str = "/terms/terms-1.0.txt";

/// What the manifest says of the text.
#[derive(Clone, Debug)]
pub struct Terms(pub TermsDocument);

impl Terms {
    /// The current document below a public address.
    ///
    /// # Errors
    /// When the address cannot carry a path.
    pub fn current(public_url: &Url) -> Result<Self, url::ParseError> {
        Ok(Self(TermsDocument {
            id: "terms-of-service".to_owned(),
            title: "slipway Terms of Service".to_owned(),
            url: public_url.join(PATH.trim_start_matches('/'))?,
            version: "1.0".to_owned(),
            sha256: Sha256Digest::of(TEXT.as_bytes()),
        }))
    }
}

/// The bytes whose digest the manifest names.
pub async fn serve() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], TEXT)
}
