//! Bytes on their way in or out.

use std::io;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt as _};
use http_body::Body as _;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyDataStream, BodyExt, Full, StreamBody};

use crate::error::StoreError;

/// A body of the bindings protocol.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;
/// Bytes, piece by piece.
pub type Chunks = BoxStream<'static, io::Result<Bytes>>;

/// That a body ended early is no failure of ours.
#[derive(Debug, thiserror::Error)]
#[error("the sender stopped: {0}")]
pub struct SenderFailed(String);

/// What somebody sends, with what was said of its length.
pub struct Incoming {
    pub chunks: Chunks,
    pub length: Option<u64>,
}

/// What is kept, to be read.
pub struct Outgoing {
    pub chunks: Chunks,
    pub length: u64,
}

impl Incoming {
    #[must_use]
    pub fn of(bytes: Bytes) -> Self {
        let length = Some(bytes.len() as u64);
        Self { chunks: one(bytes), length }
    }

    /// The body of a request.
    #[must_use]
    pub fn from_body(body: Body) -> Self {
        let length = body.size_hint().exact();
        Self { chunks: BodyDataStream::new(body).map(|piece| piece.map_err(|e| sender_failed(&e))).boxed(), length }
    }

    /// Reads all of it when it is no more than `most`; otherwise what was read, and the rest.
    ///
    /// # Errors
    /// When the sender fails.
    pub(crate) async fn gather(mut self, most: usize) -> Result<Gathered, StoreError> {
        let mut held = BytesMut::new();
        while let Some(piece) = self.chunks.next().await {
            held.extend_from_slice(&piece?);
            if held.len() > most {
                let held = held.freeze();
                return Ok(Gathered::More(Self { chunks: one(held).chain(self.chunks).boxed(), length: self.length }));
            }
        }
        Ok(Gathered::Whole(held.freeze()))
    }

    /// Reads all of it.
    ///
    /// # Errors
    /// When the sender fails, or there is more than `most`.
    pub async fn whole(self, most: usize) -> Result<Bytes, StoreError> {
        match self.gather(most).await? {
            Gathered::Whole(bytes) => Ok(bytes),
            Gathered::More(_) => Err(StoreError::TooLarge(format!("the body is larger than {most} bytes"))),
        }
    }
}

pub(crate) enum Gathered {
    Whole(Bytes),
    More(Incoming),
}

impl Outgoing {
    #[must_use]
    pub fn of(bytes: Bytes) -> Self {
        let length = bytes.len() as u64;
        Self { chunks: one(bytes), length }
    }

    /// Reads all of it, for what is known to be small.
    ///
    /// # Errors
    /// When the bytes cannot be read.
    pub async fn whole(mut self) -> Result<Bytes, StoreError> {
        let mut held = BytesMut::with_capacity(usize::try_from(self.length).unwrap_or(0).min(1 << 20));
        while let Some(piece) = self.chunks.next().await {
            held.extend_from_slice(&piece?);
        }
        Ok(held.freeze())
    }

    #[must_use]
    pub fn into_body(self) -> Body {
        stream(self.chunks)
    }
}

/// One piece, or none when it is empty.
pub(crate) fn one(bytes: Bytes) -> Chunks {
    futures_util::stream::iter((!bytes.is_empty()).then_some(Ok(bytes))).boxed()
}

/// What a sender's failure is called, so that it is not taken for the disk's.
pub fn sender_failed(cause: &dyn std::error::Error) -> io::Error {
    io::Error::other(SenderFailed(cause.to_string()))
}

pub(crate) fn stream(chunks: Chunks) -> Body {
    BodyExt::boxed_unsync(StreamBody::new(chunks.map(|piece| piece.map(http_body::Frame::data))))
}

pub(crate) fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}
