//! Whether a decision slows with what was decided before.

use std::path::Path;
use std::time::Duration;

use crate::counter::{Counter, Records};
use crate::load::{self, CALLERS};

pub struct Growth {
    pub few: f64,
    pub many: f64,
    pub rows: usize,
}

/// The rate beside few holds and beside many, in two databases, in turn.
pub async fn rates(folder: &Path, few: usize, many: usize, window: Duration) -> Growth {
    let small = Counter::sqlite(folder, 1, Records::None).await;
    small.fill(few).await;
    let large = Counter::sqlite(folder, 1, Records::None).await;
    large.fill(many).await;
    let (mut of_small, mut of_large) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        of_small.push(load::in_process(&small, CALLERS, window).await.rate);
        of_large.push(load::in_process(&large, CALLERS, window).await.rate);
    }
    small.close().await;
    large.close().await;
    Growth { few: crate::median(of_small.into_iter()), many: crate::median(of_large.into_iter()), rows: many }
}
