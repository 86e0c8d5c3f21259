//! A WebSocket after its handshake: bytes both ways until one side ends or both fall silent.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::limits;
use crate::route::Hold;
use crate::watched::Watched;

/// Joins the visitor's connection with the Worker's, once both are upgraded.
pub fn join(visitor: OnUpgrade, worker: OnUpgrade, ray: String, hold: Hold) {
    tokio::spawn(async move {
        let _hold = hold;
        let (visitor, worker) = match tokio::try_join!(visitor, worker) {
            Ok(both) => both,
            Err(e) => return tracing::debug!(ray = %ray, error = %e, "a websocket was not established"),
        };
        let (mut visitor, activity) = Watched::new(TokioIo::new(visitor));
        let mut worker = TokioIo::new(worker);
        tokio::select! {
            ended = tokio::io::copy_bidirectional(&mut visitor, &mut worker) => match ended {
                Ok((up, down)) => tracing::debug!(ray = %ray, up, down, "a websocket ended"),
                Err(e) => tracing::debug!(ray = %ray, error = %e, "a websocket broke off"),
            },
            () = activity.idle(limits::CONNECTION_IDLE) => tracing::debug!(ray = %ray, "a silent websocket was closed"),
        }
    });
}
