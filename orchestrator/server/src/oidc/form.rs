//! The body of a request to an OAuth endpoint, read strictly.

use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use purser_http::extract::FormBytes;
use purser_identity::parameters::Parameters;

use super::error::OAuthError;

/// Parameters and headers of a form that was posted.
#[derive(Debug)]
pub struct Form {
    pub headers: HeaderMap,
    pub parameters: Parameters,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OAuthError;
    async fn from_request(request: Request, _: &S) -> Result<Self, OAuthError> {
        let (head, FormBytes(body)) = FormBytes::read(request).await.map_err(OAuthError::body)?;
        Ok(Self { headers: head.headers, parameters: Parameters::parse(&body)? })
    }
}
