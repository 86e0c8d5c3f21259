//! Multipart uploads of code: one part `metadata`, and a file part for each module.

use axum::extract::multipart::{Multipart, MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::StatusCode;
use slipway_workers::limits::MODULES;
use slipway_workers::view::{Upload, UploadedModule};

use super::envelope::Failure;
use crate::cloud::Shared;

/// The name of the part that is not a module.
const METADATA: &str = "metadata";

/// A multipart body. While it is held, it occupies one of the places for uploads in memory.
pub struct Parts {
    multipart: Multipart,
    _place: tokio::sync::OwnedSemaphorePermit,
}

/// One part.
pub struct Part {
    pub name: String,
    pub content_type: Option<String>,
    pub bytes: Bytes,
}

impl FromRequest<Shared> for Parts {
    type Rejection = Failure;

    async fn from_request(request: Request, cloud: &Shared) -> Result<Self, Failure> {
        let place = cloud.uploads.clone().acquire_owned().await.map_err(|e| Failure::internal(&e))?;
        let multipart = Multipart::from_request(request, cloud).await;
        Ok(Self { multipart: multipart.map_err(|e: MultipartRejection| Failure::body(e.body_text()))?, _place: place })
    }
}

impl Parts {
    /// The next part.
    ///
    /// # Errors
    /// When the body is not well-formed, too large, or has a part without a name.
    pub async fn next(&mut self) -> Result<Option<Part>, Failure> {
        let Some(field) = self.multipart.next_field().await.map_err(|e| refuse(&e))? else { return Ok(None) };
        let name = field.name().map(str::to_owned).ok_or_else(|| Failure::body("a part of the upload has no name"))?;
        let content_type = field.content_type().map(str::to_owned);
        let bytes = field.bytes().await.map_err(|e| refuse(&e))?;
        Ok(Some(Part { name, content_type, bytes }))
    }

    /// All parts as an upload of code.
    ///
    /// # Errors
    /// As [`Parts::next`]; and when there is no `metadata`, or there are more modules than a version may have.
    pub async fn code(mut self) -> Result<Upload, Failure> {
        let (mut metadata, mut modules) = (None, Vec::new());
        while let Some(part) = self.next().await? {
            if part.name == METADATA {
                metadata = Some(part.bytes);
                continue;
            }
            if modules.len() >= MODULES {
                return Err(Failure::invalid(format!("a version has at most {MODULES} modules")));
            }
            let content_type = part.content_type.unwrap_or_default();
            modules.push(UploadedModule { name: part.name, content_type, bytes: part.bytes });
        }
        let metadata = metadata.ok_or_else(|| Failure::invalid("the upload has no part `metadata`"))?;
        Ok(Upload { metadata, modules })
    }
}

fn refuse(e: &MultipartError) -> Failure {
    match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large(),
        _ => Failure::body("the body is not a well-formed multipart form"),
    }
}
