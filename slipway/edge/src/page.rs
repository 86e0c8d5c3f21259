//! The small pages that the edge answers with when no site does: plain HTML, no scripts, no foreign text.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};

use crate::host::HostError;
use crate::route::{Body, Unavailable};
use crate::traffic::NoPlace;

/// Something the edge has to say for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    status: StatusCode,
    title: &'static str,
    text: &'static str,
}

impl Page {
    pub const UNKNOWN: Self =
        Self { status: StatusCode::NOT_FOUND, title: "Nothing is deployed here", text: "This host name is not connected to a site." };
    pub const SUSPENDED: Self =
        Self { status: StatusCode::FORBIDDEN, title: "This site is suspended", text: "The site exists, but it is not served at present." };
    pub const METHOD: Self =
        Self { status: StatusCode::METHOD_NOT_ALLOWED, title: "Method not allowed", text: "CONNECT and TRACE are not served here." };
    pub const BAD_REQUEST: Self =
        Self { status: StatusCode::BAD_REQUEST, title: "Bad request", text: "The request does not name exactly one valid host and path." };
    pub const MISDIRECTED: Self = Self {
        status: StatusCode::MISDIRECTED_REQUEST,
        title: "Misdirected request",
        text: "The host name of the request differs from the one of the TLS handshake.",
    };
    pub const TOO_LARGE: Self =
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, title: "Request too large", text: "A request body may have at most 100 MiB." };
    pub const BROKEN: Self =
        Self { status: StatusCode::BAD_GATEWAY, title: "Error 1101", text: "The Worker of this site does not run or broke off." };
    pub const OVER_LIMITS: Self =
        Self { status: StatusCode::SERVICE_UNAVAILABLE, title: "Error 1102", text: "The Worker of this site passed its limits." };
    pub const SILENT: Self =
        Self { status: StatusCode::GATEWAY_TIMEOUT, title: "No answer in time", text: "The Worker of this site did not answer in time." };
    pub const SPENT: Self = Self {
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "The plan of this site is used up",
        text: "The site has used what its owner's plan includes and what is set aside for more. It answers again when there is room.",
    };
    /// Says when to come back: see [`Page::response`].
    pub const TOO_FAST: Self = Self {
        status: StatusCode::TOO_MANY_REQUESTS,
        title: "Too many requests in a second",
        text: "This site is asked more often than its owner's plan serves. Try again in a second.",
    };
    pub const BUSY: Self = Self {
        status: StatusCode::SERVICE_UNAVAILABLE,
        title: "Too many requests under way",
        text: "This site is answering as many requests as it may. Try again in a moment.",
    };

    /// The page as a response.
    #[must_use]
    pub fn response(self) -> Response<Body> {
        let Self { status, title, text } = self;
        let html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
             <body><h1>{title}</h1><p>{text}</p><p><small>{} · slipway</small></p></body></html>\n",
            status.as_u16()
        );
        let mut response = Response::new(whole(html));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if self == Self::TOO_FAST {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
        response
    }
}

/// A body of whole bytes.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

impl From<&HostError> for Page {
    fn from(e: &HostError) -> Self {
        match e {
            HostError::Missing | HostError::Contradictory | HostError::Invalid => Self::BAD_REQUEST,
            HostError::Misdirected => Self::MISDIRECTED,
        }
    }
}

impl From<NoPlace> for Page {
    fn from(e: NoPlace) -> Self {
        match e {
            NoPlace::Busy => Self::BUSY,
            NoPlace::Spent => Self::SPENT,
            NoPlace::TooFast => Self::TOO_FAST,
        }
    }
}

impl From<&Unavailable> for Page {
    fn from(e: &Unavailable) -> Self {
        match e {
            Unavailable::Broken(_) => Self::BROKEN,
            Unavailable::OverLimits(_) => Self::OVER_LIMITS,
        }
    }
}
