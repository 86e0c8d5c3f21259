//! Multipart uploads of code: one part `metadata`, and a file part for each module.

use axum::body::Body;
use axum::extract::multipart::{Multipart, MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Request};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};
use http::{StatusCode, header};
use purser_values::id::CloudAccountId;
use purser_values::limits::UPLOAD_BODY_BYTES;
use slipway_billing::usage::room::room;
use slipway_workers::limits::MODULES;
use slipway_workers::view::{Upload, UploadedModule};
use tokio::time::{Duration, Instant, timeout_at};

use super::body::parse;
use super::envelope::Failure;
use super::memory::Memory;
use super::nested::{Nested, is_part_of};
use crate::cloud::Cloud;

/// The name of the part that is not a module.
const METADATA: &str = "metadata";
/// What fields of modules are called by clients that name the module by its file alone.
const FILES: [&str; 2] = ["files", "files[]"];
/// Longest boundary of a form (RFC 2046, section 5.1.1).
const BOUNDARY_BYTES: usize = 70;
/// Time for an upload to be admitted and to arrive.
const READ: Duration = Duration::from_secs(120);

/// A multipart body that was not read yet.
pub struct Form(Multipart);

/// A multipart body whose sender was admitted. While it lives, it takes the memory that it arrived in.
pub struct Parts {
    multipart: Multipart,
    deadline: Instant,
    memory: Memory,
}

/// One part.
pub struct Part {
    pub name: String,
    file: Option<String>,
    pub content_type: Option<String>,
    pub bytes: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let request = told_apart(request).await?;
        let multipart = Multipart::from_request(request, state).await;
        multipart.map(Self).map_err(|e: MultipartRejection| Failure::body(e.body_text()))
    }
}

impl Form {
    /// Called when it is known who sends.
    ///
    /// # Errors
    /// When the account has used up what is set aside: what is stored on top would not be paid.
    pub async fn admit(self, cloud: &Cloud, account: &CloudAccountId) -> Result<Parts, Failure> {
        let of = account.clone();
        let room = cloud.db.read(move |tx| room(tx, &of)).await.map_err(|e| Failure::internal(&e))?;
        if room.is_some_and(|room| room.is_over()) {
            return Err(Failure::used_up());
        }
        let deadline = Instant::now() + READ;
        Ok(Parts { multipart: self.0, deadline, memory: Memory::new(cloud.memory.clone(), account.clone(), deadline) })
    }
}

impl Parts {
    /// The next part.
    ///
    /// # Errors
    /// When the body is not well-formed, too large, or has a part without a name.
    pub async fn next(&mut self) -> Result<Option<Part>, Failure> {
        let (multipart, memory) = (&mut self.multipart, &mut self.memory);
        let read = async {
            let Some(field) = multipart.next_field().await.map_err(|e| refuse(&e))? else { return Ok(None) };
            let name = field.name().map(str::to_owned).ok_or_else(|| Failure::body("a part of the upload has no name"))?;
            let (content_type, file) = (field.content_type().map(str::to_owned), field.file_name().map(str::to_owned));
            let bytes = memory.read(field, UPLOAD_BODY_BYTES, refuse).await?;
            Ok(Some(Part { name, file, content_type, bytes }))
        };
        timeout_at(self.deadline, read).await.map_err(|_| Failure::slow())?
    }

    /// All parts as an upload of code.
    ///
    /// # Errors
    /// As [`Parts::next`]; and when there is no `metadata`, or there are more modules than a version may have.
    pub async fn code(&mut self) -> Result<Upload, Failure> {
        let mut modules = Vec::new();
        let metadata = self
            .structure(METADATA, |part| {
                if modules.len() >= MODULES {
                    return Err(Failure::invalid(format!("a version has at most {MODULES} modules")));
                }
                let name = part.file.filter(|_| FILES.contains(&part.name.as_str())).unwrap_or(part.name);
                modules.push(UploadedModule { name, content_type: part.content_type.unwrap_or_default(), bytes: part.bytes });
                Ok(())
            })
            .await?;
        let metadata = metadata.ok_or_else(|| Failure::invalid("the upload has no part `metadata`"))?;
        Ok(Upload { metadata, modules })
    }

    /// The JSON text of the structure of this name, sent as one part or taken apart. Other parts go to `other`.
    ///
    /// # Errors
    /// As [`Parts::next`], as `other`, and when the fields are no structure.
    async fn structure(&mut self, name: &str, mut other: impl FnMut(Part) -> Result<(), Failure>) -> Result<Option<Bytes>, Failure> {
        let (mut whole, mut nested) = (None, Nested::default());
        while let Some(part) = self.next().await? {
            if part.name == name {
                whole = Some(part.bytes);
            } else if is_part_of(&part.name, name) {
                let text = std::str::from_utf8(&part.bytes).ok().and_then(|text| nested.put(&part.name, text));
                text.ok_or_else(|| Failure::body(format!("the fields `{name}[…]` of the form make no structure")))?;
            } else {
                other(part)?;
            }
        }
        Ok(whole.or_else(|| nested.finish().map(|value| value.to_string().into())))
    }

    /// The structure of this name, and nothing else of the form.
    ///
    /// # Errors
    /// As [`Parts::next`]; and when there is none.
    pub async fn value(&mut self, name: &str) -> Result<serde_json::Value, Failure> {
        let text = self.structure(name, |_| Ok(())).await?;
        parse(&text.ok_or_else(|| Failure::body(format!("the form has no part `{name}`")))?)
    }
}

/// One official client sends its form under the content type of a script, without the boundary. The boundary is what the body begins
/// with.
async fn told_apart(request: Request) -> Result<Request, Failure> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/javascript") {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let (mut begin, mut rest) = (BytesMut::new(), body.into_data_stream());
    let first_line = async {
        while begin.len() < BOUNDARY_BYTES + 4 && !begin.contains(&b'\n') {
            match rest.next().await {
                Some(chunk) => begin.extend_from_slice(&chunk.map_err(|_| Failure::body("the body cannot be read"))?),
                None => break,
            }
        }
        Ok::<_, Failure>(())
    };
    timeout_at(Instant::now() + READ, first_line).await.map_err(|_| Failure::slow())??;
    let begin = begin.freeze();
    let boundary = boundary(&begin)
        .ok_or_else(|| Failure::invalid("code is uploaded as a form with a part `metadata` and a part for each module, not as one file"))?;
    let kind = format!("multipart/form-data; boundary=\"{boundary}\"").parse().map_err(|_| Failure::body("the boundary is none"))?;
    parts.headers.insert(header::CONTENT_TYPE, kind);
    Ok(Request::from_parts(parts, Body::from_stream(stream::iter([Ok(begin)]).chain(rest))))
}

/// The boundary of a form that begins like this.
fn boundary(begin: &[u8]) -> Option<&str> {
    let line = begin.split(|byte| *byte == b'\n').next()?.strip_suffix(b"\r")?;
    let boundary = std::str::from_utf8(line.strip_prefix(b"--")?).ok()?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "'()+_,-./:=?".contains(c);
    ((1..=BOUNDARY_BYTES).contains(&boundary.len()) && boundary.chars().all(allowed)).then_some(boundary)
}

fn refuse(e: &MultipartError) -> Failure {
    match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::too_large(),
        _ => Failure::body("the body is not a well-formed multipart form"),
    }
}
