//! What the calls about stores share: who may send, and how bodies reach a store without being held here.

use axum::RequestExt as _;
use axum::extract::Request;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::header::CONTENT_LENGTH;
use purser_values::id::CloudAccountId;
use slipway_billing::usage::room::room;
use slipway_stores::body::{Incoming, sender_failed};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, Instant, timeout};

use super::envelope::Failure;
use super::memory::Memory;
use crate::cloud::Cloud;

/// Time to wait for a place.
const WAIT: Duration = Duration::from_secs(60);
/// Time between two pieces of a body, and for all of it.
const PIECE: Duration = Duration::from_secs(20);
const WHOLE: Duration = Duration::from_secs(600);
/// Time for a body that is held in memory.
const ARRIVES: Duration = Duration::from_secs(120);

/// Waits for a place. Called when it is known who sends.
///
/// # Errors
/// When no place becomes free, or the account has used up what is set aside: what is stored on top would not be paid.
pub async fn admit(cloud: &Cloud, account: &CloudAccountId) -> Result<[OwnedSemaphorePermit; 2], Failure> {
    let of = account.clone();
    let room = cloud.db.read(move |tx| room(tx, &of)).await.map_err(|e| Failure::internal(&e))?;
    if room.is_some_and(|room| room.is_over()) {
        return Err(Failure::used_up());
    }
    let places = timeout(WAIT, cloud.streams.take(account)).await.map_err(|_| Failure::slow())?;
    places.map_err(|e| Failure::internal(&e))
}

/// A body that is read as a whole, with the memory that it takes.
///
/// # Errors
/// As [`admit`], and when the body is too large or does not arrive in time.
pub async fn whole(cloud: &Cloud, account: &CloudAccountId, request: Request, most: usize) -> Result<(Bytes, Memory), Failure> {
    drop(admit(cloud, account).await?);
    let mut memory = Memory::new(cloud.memory.clone(), account.clone(), Instant::now() + ARRIVES);
    let bytes = memory.read(incoming(request).chunks, most, |e| Failure::body(e.to_string())).await?;
    Ok((bytes, memory))
}

/// A body, piece by piece, within the limit of its route.
pub fn incoming(request: Request) -> Incoming {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let pieces = request.with_limited_body().into_body().into_data_stream();
    let begun = Instant::now();
    let chunks = futures_util::stream::unfold(Some(pieces), move |pieces| async move {
        let mut pieces = pieces?;
        let left = WHOLE.saturating_sub(begun.elapsed()).min(PIECE);
        match timeout(left, pieces.next()).await {
            Ok(None) => None,
            Ok(Some(Ok(piece))) => Some((Ok(piece), Some(pieces))),
            Ok(Some(Err(e))) => Some((Err(sender_failed(&e)), None)),
            Err(e) => Some((Err(sender_failed(&e)), None)),
        }
    });
    Incoming { chunks: chunks.boxed(), length }
}
