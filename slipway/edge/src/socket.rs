//! A Unix socket that wakes us when there is something to read, and only then.
//!
//! The runtime's own socket asks to be woken for room to write as well. On Unix sockets there is news of that whenever the other end
//! reads, so every request woke us once for nothing, and the process that read paid for the waking: a tenth of its time. Here
//! room is waited for only after a write found none.

use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream as Std;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::UnixStream;

/// How soon a full queue of connections is looked at again.
const AGAIN: Duration = Duration::from_millis(2);

/// A connection to a process.
pub struct Socket {
    inner: AsyncFd<Std>,
    /// The same connection, while a write waits for room.
    full: Option<AsyncFd<Std>>,
}

impl Socket {
    /// Connects to whoever listens at `path`.
    ///
    /// # Errors
    /// When nobody does.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        // a full queue is reported at once instead of waited for, so the waiting is done here
        let stream = loop {
            match UnixStream::connect(path).await {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => tokio::time::sleep(AGAIN).await,
                other => break other?,
            }
        };
        Ok(Self { inner: registered(stream.into_std()?, Interest::READABLE)?, full: None })
    }

    fn poll_with(&mut self, cx: &mut Context<'_>, mut write: impl FnMut(&Std) -> io::Result<usize>) -> Poll<io::Result<usize>> {
        match write(self.inner.get_ref()) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
            written => return Poll::Ready(written),
        }
        let full = match &mut self.full {
            Some(full) => full,
            none => none.insert(registered(self.inner.get_ref().try_clone()?, Interest::WRITABLE)?),
        };
        loop {
            let mut room = ready!(full.poll_write_ready(cx))?;
            if let Ok(written) = room.try_io(|full| write(full.get_ref())) {
                self.full = None;
                return Poll::Ready(written);
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "its unsafe successor is for types that may name a descriptor they do not own; the standard library's own theirs"
)]
fn registered(stream: Std, interest: Interest) -> io::Result<AsyncFd<Std>> {
    AsyncFd::with_interest(stream, interest)
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut news = ready!(self.inner.poll_read_ready(cx))?;
            let read = news.try_io(|inner| {
                let mut inner = inner.get_ref();
                inner.read(buf.initialize_unfilled())
            });
            if let Ok(read) = read {
                return Poll::Ready(read.map(|n| buf.advance(n)));
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |mut inner| inner.write(buf))
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.poll_with(cx, |mut inner| inner.write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.inner.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_waits_for_a_slow_reader_and_arrives_whole_while_answers_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[0] ^ i.to_le_bytes()[1]).collect();
        let expected = sent.clone();
        let other = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"ready").await.unwrap();
            let mut got = Vec::new();
            let mut part = vec![0; 50_000];
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                match stream.read(&mut part).await.unwrap() {
                    0 => break,
                    n => got.extend_from_slice(&part[..n]),
                }
            }
            stream.write_all(b"done").await.unwrap();
            got
        });
        let mut socket = Socket::connect(&path).await.unwrap();
        let mut said = [0; 5];
        socket.read_exact(&mut said).await.unwrap();
        socket.write_all(&sent).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).await.unwrap();
        assert_eq!((&said, rest.as_slice()), (b"ready", b"done".as_slice()));
        assert!(other.await.unwrap() == expected);
    }
}
