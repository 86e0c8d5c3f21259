//! Multipart uploads of code: one part `metadata`, and a file part for each module.

use axum::extract::multipart::{Multipart, MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::StatusCode;
use purser_values::id::CloudAccountId;
use slipway_billing::usage::room::room;
use slipway_workers::limits::MODULES;
use slipway_workers::view::{Upload, UploadedModule};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, Instant, timeout_at};

use super::envelope::Failure;
use crate::cloud::Cloud;

/// The name of the part that is not a module.
const METADATA: &str = "metadata";
/// Time for an upload to be admitted and to arrive.
const READ: Duration = Duration::from_secs(120);

/// A multipart body that was not read yet.
pub struct Form(Multipart);

/// A multipart body whose sender was admitted. While it lives, it occupies one of the places for uploads in memory.
pub struct Parts {
    multipart: Multipart,
    deadline: Instant,
    _places: [OwnedSemaphorePermit; 2],
}

/// One part.
pub struct Part {
    pub name: String,
    pub content_type: Option<String>,
    pub bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let multipart = Multipart::from_request(request, state).await;
        multipart.map(Self).map_err(|e: MultipartRejection| Failure::body(e.body_text()))
    }
}

impl Form {
    /// Waits for a place. Called when it is known who sends.
    ///
    /// # Errors
    /// When no place becomes free, or the account has used up what is set aside: what is stored on top would not be paid.
    pub async fn admit(self, cloud: &Cloud, account: &CloudAccountId) -> Result<Parts, Failure> {
        let of = account.clone();
        let room = cloud.db.read(move |tx| room(tx, &of)).await.map_err(|e| Failure::internal(&e))?;
        if room.is_some_and(|room| room.is_over()) {
            return Err(Failure::used_up());
        }
        let deadline = Instant::now() + READ;
        let places = timeout_at(deadline, cloud.places.take(account)).await.map_err(|_| Failure::slow())?;
        Ok(Parts { multipart: self.0, deadline, _places: places.map_err(|e| Failure::internal(&e))? })
    }
}

impl Parts {
    /// The next part.
    ///
    /// # Errors
    /// When the body is not well-formed, too large, or has a part without a name.
    pub async fn next(&mut self) -> Result<Option<Part>, Failure> {
        let multipart = &mut self.multipart;
        let read = async {
            let Some(field) = multipart.next_field().await.map_err(|e| refuse(&e))? else { return Ok(None) };
            let name = field.name().map(str::to_owned).ok_or_else(|| Failure::body("a part of the upload has no name"))?;
            let content_type = field.content_type().map(str::to_owned);
            let bytes = field.bytes().await.map_err(|e| refuse(&e))?;
            Ok(Some(Part { name, content_type, bytes }))
        };
        timeout_at(self.deadline, read).await.map_err(|_| Failure::slow())?
    }

    /// All parts as an upload of code.
    ///
    /// # Errors
    /// As [`Parts::next`]; and when there is no `metadata`, or there are more modules than a version may have.
    pub async fn code(&mut self) -> Result<Upload, Failure> {
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
