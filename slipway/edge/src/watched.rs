//! A connection that notices when nothing moves.
//!
//! hyper bounds the time of a header, but not an idle keep-alive connection, a visitor who stopped reading, or a WebSocket that
//! fell silent. One wrapper around the socket bounds them all: whoever owns the connection drops it when [`Activity::idle`] returns.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that records each byte that moves.
pub struct Watched<T> {
    inner: T,
    activity: Activity,
}

/// Whether something moved lately.
#[derive(Clone, Default)]
pub struct Activity(Arc<AtomicBool>);

impl Activity {
    /// Returns when nothing moved for `limit`, at most twice as long.
    pub async fn idle(&self, limit: Duration) {
        loop {
            self.0.store(false, Ordering::Relaxed);
            tokio::time::sleep(limit).await;
            if !self.0.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

impl<T> Watched<T> {
    pub fn new(inner: T) -> (Self, Activity) {
        let activity = Activity::default();
        (Self { inner, activity: activity.clone() }, activity)
    }

    fn moved<R>(&self, poll: &Poll<io::Result<R>>) {
        if matches!(poll, Poll::Ready(Ok(_))) && !self.activity.0.load(Ordering::Relaxed) {
            self.activity.0.store(true, Ordering::Relaxed);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.moved(&poll);
        poll
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.moved(&poll);
        poll
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.moved(&poll);
        poll
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test(start_paused = true)]
    async fn silence_ends_and_movement_extends() {
        let (near, _far) = tokio::io::duplex(64);
        let (mut near, activity) = Watched::new(near);
        let limit = Duration::from_secs(10);
        let started = tokio::time::Instant::now();
        let writer = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(7)).await;
                near.write_all(b"x").await.unwrap();
            }
            std::future::pending::<()>().await;
        };
        tokio::select! { () = activity.idle(limit) => {}, () = writer => {} }
        let lasted = started.elapsed();
        assert!(lasted >= Duration::from_secs(31) && lasted <= Duration::from_secs(41), "{lasted:?}");
    }
}
