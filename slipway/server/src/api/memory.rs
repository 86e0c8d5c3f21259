//! Bodies that are held in memory as a whole, and how much of it they take.
//!
//! Places are counted by what has arrived and not by who has begun: somebody who sends a byte now and then holds next to nothing, and
//! whoever wants to keep others out has to send as much as fits, again every two minutes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use purser_http::places::Places;
use purser_values::id::CloudAccountId;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::envelope::Failure;

/// What all bodies may take together, and those of one account, in KiB: room for a dozen of the largest, and for three.
pub const ALL_KIB: usize = 384 * 1024;
pub const EACH_KIB: usize = 96 * 1024;
/// Memory is taken in pieces of this size.
const PIECE_KIB: u32 = 256;

/// Memory that one body takes; given back when dropped.
pub struct Memory {
    places: Arc<Places<CloudAccountId>>,
    account: CloudAccountId,
    deadline: Instant,
    arrived: u64,
    held_kib: u64,
    permits: Vec<[OwnedSemaphorePermit; 2]>,
}

impl Memory {
    pub fn new(places: Arc<Places<CloudAccountId>>, account: CloudAccountId, deadline: Instant) -> Self {
        Self { places, account, deadline, arrived: 0, held_kib: 0, permits: Vec::new() }
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// When it is longer than `most`, does not arrive in time, or there is no memory for it in time.
    pub async fn read<E>(
        &mut self,
        pieces: impl Stream<Item = Result<Bytes, E>>,
        most: usize,
        failed: impl Fn(&E) -> Failure,
    ) -> Result<Bytes, Failure> {
        let mut pieces = std::pin::pin!(pieces);
        let mut whole = BytesMut::new();
        while let Some(piece) = timeout_at(self.deadline, pieces.next()).await.map_err(|_| Failure::slow())? {
            let piece = piece.map_err(|e| failed(&e))?;
            if whole.len() + piece.len() > most {
                return Err(Failure::body(format!("the body is larger than {most} bytes")));
            }
            self.grow(piece.len()).await?;
            whole.extend_from_slice(&piece);
        }
        Ok(whole.freeze())
    }

    async fn grow(&mut self, bytes: usize) -> Result<(), Failure> {
        self.arrived += bytes as u64;
        while self.held_kib * 1024 < self.arrived {
            let permits = timeout_at(self.deadline, self.places.take_many(&self.account, PIECE_KIB)).await.map_err(|_| Failure::slow())?;
            self.permits.push(permits.map_err(|e| Failure::internal(&e))?);
            self.held_kib += u64::from(PIECE_KIB);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use purser_values::{Env, Timestamp};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_sends_slowly_keeps_nobody_out_and_who_holds_a_lot_keeps_out_themselves() {
        let env = Env::test(Timestamp::EPOCH, 1).0;
        let (slow, greedy, other) = (CloudAccountId::mint(&env), CloudAccountId::mint(&env), CloudAccountId::mint(&env));
        let places = Arc::new(Places::new(8 * 256, 4 * 256));
        let memory = |account: &CloudAccountId| Memory::new(places.clone(), account.clone(), Instant::now() + Duration::from_secs(120));
        // three that have begun and say no more
        for _ in 0..3 {
            let mut memory = memory(&slow);
            tokio::spawn(async move {
                let drip = futures_util::stream::iter([Ok::<_, ()>(Bytes::from_static(b"x"))]).chain(futures_util::stream::pending());
                memory.read(drip, 1 << 20, |()| Failure::slow()).await.map(drop)
            });
        }
        let sent = |kib: usize| futures_util::stream::iter([Ok::<_, ()>(Bytes::from(vec![0; kib * 1024]))]);
        let mut held = memory(&greedy);
        assert_eq!(held.read(sent(1_024), 2 << 20, |()| Failure::slow()).await.unwrap().len(), 1 << 20);
        assert!(memory(&greedy).read(sent(256), 2 << 20, |()| Failure::slow()).await.is_err(), "an account took more than its own");
        assert!(memory(&other).read(sent(256), 2 << 20, |()| Failure::slow()).await.is_ok());
        drop(held);
        assert!(memory(&greedy).read(sent(256), 2 << 20, |()| Failure::slow()).await.is_ok(), "memory is not given back");
        assert!(memory(&other).read(sent(64), 1_024, |()| Failure::slow()).await.is_err(), "a body passed its limit");
    }
}
