//! One connection to a Worker's process, driven by whoever waits for it.
//!
//! A connection with a task of its own costs two changes of thread for every request. So the task that waits for an answer moves
//! the bytes itself, as long as one direction is enough: a connection that also carries a body to the Worker, or that was upgraded, gets a
//! task, because there both directions must go on while the visitor is slow to read.

use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;

use crate::body::Upload;
use crate::limits;
use crate::socket::Socket;

/// The other end of a sender: whoever polls it moves the bytes.
type Driven = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// A connection that carries one request at a time.
pub struct Wire {
    sender: SendRequest<Upload>,
    /// Nothing where a task drives it, or where it ended.
    driven: Option<Driven>,
}

impl Wire {
    /// Speaks HTTP over a socket.
    ///
    /// # Errors
    /// Those of the handshake.
    pub async fn over(socket: Socket) -> Result<Self, hyper::Error> {
        let (sender, connection) = Builder::new().max_headers(limits::HEADER_FIELDS * 2).handshake(TokioIo::new(socket)).await?;
        Ok(Self { sender, driven: Some(Box::pin(connection.with_upgrades())) })
    }

    /// Waits until it can take a request.
    ///
    /// # Errors
    /// When it ended.
    pub async fn ready(&mut self) -> Result<(), hyper::Error> {
        std::future::poll_fn(|cx| {
            // first: an end that came while it lay idle is only seen by looking
            self.drive(cx);
            self.sender.poll_ready(cx)
        })
        .await
    }

    /// Sends one request and waits for the head of its answer.
    ///
    /// # Errors
    /// With the request where nothing of it was written.
    pub async fn send(&mut self, request: Request<Upload>) -> Result<Response<Incoming>, TrySendError<Request<Upload>>> {
        if !request.body().is_end_stream() {
            self.detach();
        }
        let mut answer = std::pin::pin!(self.sender.try_send_request(request));
        let driven = &mut self.driven;
        let answered = std::future::poll_fn(|cx| {
            drive(driven, cx);
            answer.as_mut().poll(cx)
        })
        .await;
        if answered.as_ref().is_ok_and(|response| response.status() == http::StatusCode::SWITCHING_PROTOCOLS) {
            self.detach();
        }
        answered
    }

    /// Moves what can be moved; wakes the task when there is more.
    pub fn drive(&mut self, cx: &mut Context<'_>) {
        drive(&mut self.driven, cx);
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    fn detach(&mut self) {
        let Some(connection) = self.driven.take() else { return };
        tokio::spawn(async move { ended(connection.await) });
    }
}

fn drive(driven: &mut Option<Driven>, cx: &mut Context<'_>) {
    let Some(connection) = driven else { return };
    if let Poll::Ready(end) = connection.as_mut().poll(cx) {
        ended(end);
        *driven = None;
    }
}

fn ended(end: Result<(), hyper::Error>) {
    if let Err(e) = end {
        tracing::debug!(error = %e, "connection to a worker ended");
    }
}
