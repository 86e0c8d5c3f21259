//! Frames (RFC 5734 section 4): four bytes of length, themselves counted, then one document.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::limits::{FRAME_BYTES, TRANSFER};

const HEADER: usize = 4;

/// The next document; nothing when the other side has ended, or said nothing for so long.
///
/// # Errors
/// When the connection breaks, or the frame is longer or slower than is read.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), quiet: Duration) -> io::Result<Option<Vec<u8>>> {
    let mut header = [0_u8; HEADER];
    // The first byte may take its time, the rest of a frame may not.
    match timeout(quiet, stream.read(&mut header[..1])).await {
        Ok(Ok(1)) => {}
        Ok(Ok(_)) | Err(_) => return Ok(None),
        Ok(Err(e)) => return Err(e),
    }
    let rest = async {
        stream.read_exact(&mut header[1..]).await?;
        let length = usize::try_from(u32::from_be_bytes(header)).unwrap_or(usize::MAX);
        if length <= HEADER || length > FRAME_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the frame's length is out of bounds"));
        }
        let mut document = vec![0; length - HEADER];
        stream.read_exact(&mut document).await?;
        Ok(document)
    };
    timeout(TRANSFER, rest).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?.map(Some)
}

/// # Errors
/// When the connection breaks or nobody takes the answer.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), document: &str) -> io::Result<()> {
    let length = u32::try_from(document.len() + HEADER).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(document.as_bytes());
    let sent = async {
        stream.write_all(&frame).await?;
        stream.flush().await
    };
    timeout(TRANSFER, sent).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
