//! The threads that serve visitors, each with a loop of its own.
//!
//! A runtime that moves tasks between its threads wakes a second thread for each piece of news, to look whether there is more to do.
//! With few requests at a time that is most of what a request costs. A visitor's connection stays on its thread, and so do the connections to
//! Workers that its requests use.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::limits;
use crate::pool::Pool;

/// All of them; they end when this is dropped, with whatever they still serve.
pub struct Lanes(Vec<Lane>);

/// One thread.
struct Lane {
    handle: Handle,
    pool: Arc<Pool>,
    open: Arc<()>,
    _end: oneshot::Sender<()>,
}

/// A connection's place on a thread.
pub struct Place {
    pub handle: Handle,
    /// Connections to Workers that this thread keeps.
    pub pool: Arc<Pool>,
    /// As long as it is held, the thread is as busy as that.
    _open: Arc<()>,
}

impl Lanes {
    /// One for every two processors: the code that visitors ask for needs more of them than the way to it.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn start() -> io::Result<Self> {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        (0..processors.div_ceil(2)).map(lane).collect::<io::Result<_>>().map(Self)
    }

    /// On the thread with the fewest connections.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let lane = self.0.iter().min_by_key(|lane| Arc::strong_count(&lane.open))?;
        Some(Place { handle: lane.handle.clone(), pool: lane.pool.clone(), _open: lane.open.clone() })
    }
}

fn lane(number: usize) -> io::Result<Lane> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (handle, pool) = (runtime.handle().clone(), Arc::new(Pool::default()));
    let (end, ended) = oneshot::channel();
    let kept = pool.clone();
    thread::Builder::new().name(format!("edge-{number}")).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = ended => {}
                () = sweep(&kept) => {}
            }
        });
    })?;
    Ok(Lane { handle, pool, open: Arc::new(()), _end: end })
}

/// Closes connections that were not used for a while, for ever.
pub async fn sweep(pool: &Pool) {
    let mut tick = tokio::time::interval(limits::KEPT_FOR);
    loop {
        tick.tick().await;
        pool.sweep();
    }
}
