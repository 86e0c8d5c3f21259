//! The bodies of a request: what the visitor sends, bounded; and what goes back, watched.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use crate::limits;
use crate::pool::Lease;
use crate::route::{Body as OwnBody, BodyError};

/// A visitor's request body on its way to a Worker.
///
/// It breaks off at [`limits::BODY_BYTES`] and tells its [`Progress`] how it goes.
pub struct Upload {
    inner: Incoming,
    left: u64,
    progress: Progress,
}

/// What is known of an upload while it runs.
#[derive(Clone)]
pub struct Progress(Arc<State>);

struct State {
    started: Instant,
    last_ms: AtomicU64,
    over: AtomicBool,
}

impl Upload {
    #[must_use]
    pub fn new(inner: Incoming) -> (Self, Progress) {
        let state = State { started: Instant::now(), last_ms: AtomicU64::new(0), over: AtomicBool::new(false) };
        let progress = Progress(Arc::new(state));
        (Self { inner, left: limits::BODY_BYTES, progress: progress.clone() }, progress)
    }
}

impl Progress {
    /// When the last part of the body went by.
    #[must_use]
    pub fn last(&self) -> Instant {
        self.0.started + std::time::Duration::from_millis(self.0.last_ms.load(Ordering::Relaxed))
    }

    /// Whether the body was larger than allowed.
    #[must_use]
    pub fn over(&self) -> bool {
        self.0.over.load(Ordering::Relaxed)
    }

    fn note(&self) {
        let ms = u64::try_from(self.0.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_ms.store(ms, Ordering::Relaxed);
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let frame = match std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => frame,
            Some(Err(e)) => return Poll::Ready(Some(Err(BodyError::new(e)))),
            None => return Poll::Ready(None),
        };
        self.progress.note();
        let size = frame.data_ref().map_or(0, |data| data.len() as u64);
        let Some(left) = self.left.checked_sub(size) else {
            self.progress.0.over.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(BodyError::new("the request body is too large"))));
        };
        self.left = left;
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A Worker's answer on its way to the visitor. It holds the connection it comes from and gives it back when it was read to its end.
pub struct Download {
    inner: Incoming,
    lease: Option<Lease>,
    ended: bool,
    silence: Option<Pin<Box<Sleep>>>,
}

impl Download {
    #[must_use]
    pub fn new(inner: Incoming, lease: Lease) -> Self {
        Self { inner, lease: Some(lease), ended: false, silence: None }
    }

    /// The raw body of an upgraded connection, which is never kept.
    #[must_use]
    pub fn discard_connection(mut self) -> Self {
        self.lease = None;
        self
    }
}

impl Body for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut polled = Pin::new(&mut self.inner).poll_frame(cx);
        if polled.is_pending()
            && let Some(lease) = &mut self.lease
        {
            lease.drive(cx);
            polled = Pin::new(&mut self.inner).poll_frame(cx);
        }
        match polled {
            Poll::Ready(frame) => {
                self.silence = None;
                self.ended |= frame.is_none();
                Poll::Ready(frame.map(|result| result.map_err(BodyError::new)))
            }
            Poll::Pending => {
                let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(limits::UPSTREAM_SILENCE)));
                std::task::ready!(silence.as_mut().poll(cx));
                Poll::Ready(Some(Err(BodyError::new("the worker fell silent in the middle of its answer"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // A connection with an unread rest cannot carry another request.
        if let Some(lease) = self.lease.take().filter(|_| self.ended || self.inner.is_end_stream()) {
            lease.give_back();
        }
    }
}

/// What a visitor gets: bytes of our own, or a Worker's answer.
pub enum Payload {
    Own(OwnBody),
    Worker(Download),
}

impl Body for Payload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            Self::Own(body) => Pin::new(body).poll_frame(cx),
            Self::Worker(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(body) => body.is_end_stream(),
            Self::Worker(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(body) => body.size_hint(),
            Self::Worker(body) => body.size_hint(),
        }
    }
}
