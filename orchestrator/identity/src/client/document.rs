//! Clients that are named by the https URL of their metadata (Client ID Metadata Documents, draft-ietf-oauth-client-id-metadata-document).
//!
//! Whoever controls the URL is the client: that is all we know of it. The document is fetched by the surface, through the guarded
//! fetcher; in here is only what makes a document the right one.

use purser_values::error::{Kind, PublicError};
use url::Url;

use super::{Client, ClientId, MetadataError, RawMetadata, Trust};

/// Largest document that is read, in bytes.
pub const DOCUMENT_BYTES: usize = 16 * 1024;
/// Time in which it must come, in milliseconds.
pub const DOCUMENT_TIMEOUT_MS: u64 = 5_000;
/// How long a document is used at least and at most, and for how long a failure stands, in seconds.
pub const DOCUMENT_LIFE_MIN_S: i64 = 60;
pub const DOCUMENT_LIFE_MAX_S: i64 = 3_600;
pub const DOCUMENT_FAILURE_S: i64 = 15;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("the client id is not a URL that can name a client: {0}")]
    Url(&'static str),
    #[error("the client's metadata document cannot be read: {0}")]
    Unreadable(String),
    #[error("the document at the client id names another client")]
    OtherClient,
    #[error("the client's metadata document is not acceptable: {0}")]
    Metadata(#[from] MetadataError),
}

impl PublicError for DocumentError {
    fn code(&self) -> &'static str {
        "invalid_client"
    }
    fn kind(&self) -> Kind {
        Kind::Invalid
    }
}

/// The URL of a client id, if it can be one. `plain_http` is for origins that the operator of a sandbox listed.
///
/// # Errors
/// [`DocumentError::Url`].
pub fn address(id: &ClientId, plain_http: impl Fn(&Url) -> bool) -> Result<Url, DocumentError> {
    let url = Url::parse(id.as_str()).map_err(|_| DocumentError::Url("it does not parse"))?;
    if url.scheme() != "https" && !(url.scheme() == "http" && plain_http(&url)) {
        return Err(DocumentError::Url("it is not https"));
    }
    if url.as_str() != id.as_str() {
        return Err(DocumentError::Url("it is not in its canonical spelling, or has dots for path segments"));
    }
    if url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return Err(DocumentError::Url("it has a fragment or a user name"));
    }
    if url.query().is_some() {
        return Err(DocumentError::Url("it has a query"));
    }
    if url.path().len() < 2 { Err(DocumentError::Url("it has no path")) } else { Ok(url) }
}

/// The client that a document describes.
///
/// # Errors
/// See [`DocumentError`].
pub fn read(id: &ClientId, body: &[u8], plain_http: bool) -> Result<Client, DocumentError> {
    let raw: RawMetadata =
        serde_json::from_slice(body).map_err(|_| DocumentError::Unreadable("it is not JSON of that shape".to_owned()))?;
    if raw.client_id.as_deref() != Some(id.as_str()) {
        return Err(DocumentError::OtherClient);
    }
    if raw.client_secret.is_some() {
        return Err(DocumentError::Unreadable("it publishes a secret".to_owned()));
    }
    let metadata = raw.well_formed(Trust::Document, plain_http)?;
    Ok(Client { id: id.clone(), trust: Trust::Document, organisation: None, metadata, secret_hash: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn id(text: &str) -> ClientId {
        text.parse().unwrap()
    }

    #[test]
    fn only_a_canonical_https_url_with_a_path_names_a_client() {
        assert!(address(&id("https://app.test/client.json"), |_| false).is_ok());
        assert!(address(&id("http://127.0.0.1:1/client"), |_| true).is_ok());
        for bad in [
            "http://app.test/client",
            "https://app.test",
            "https://app.test/",
            "https://app.test/a/../b",
            "https://app.test/a/./b",
            "https://app.test/%2e%2e/b",
            "https://APP.test/client",
            "https://app.test:443/client",
            "https://app.test/client#x",
            "https://app.test/client?x=1",
            "https://user@app.test/client",
            "https://",
            "cli_x",
        ] {
            assert!(address(&id(bad), |_| false).is_err(), "`{bad}` was taken");
        }
    }

    #[test]
    fn a_document_speaks_for_its_own_url_and_shares_no_secret() {
        let url = id("https://app.test/client");
        let good = json!({ "client_id": "https://app.test/client", "redirect_uris": ["https://app.test/cb"], "client_name": "App" });
        let client = read(&url, good.to_string().as_bytes(), false).unwrap();
        assert_eq!((client.trust, client.is_confidential(), client.name()), (Trust::Document, false, "App"));
        let mut other = good.clone();
        other["client_id"] = json!("https://app.test/client2");
        assert_eq!(read(&url, other.to_string().as_bytes(), false).unwrap_err(), DocumentError::OtherClient);
        for (name, value) in [
            ("client_id", json!(null)),
            ("client_secret", json!("x")),
            ("token_endpoint_auth_method", json!("client_secret_basic")),
            ("redirect_uris", json!(["http://app.test/cb"])),
            ("grant_types", json!(["client_credentials"])),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert!(read(&url, bad.to_string().as_bytes(), false).is_err(), "{name}");
        }
        assert!(read(&url, b"[]", false).is_err() && read(&url, b"<html>", false).is_err());
    }
}
