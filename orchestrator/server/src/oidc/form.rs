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
    async fn from_request(request: Request, state: &S) -> Result<Self, OAuthError> {
        let headers = request.headers().clone();
        let FormBytes(body) = FormBytes::from_request(request, state).await.map_err(OAuthError::body)?;
        Ok(Self { headers, parameters: Parameters::parse(&body)? })
    }
}
