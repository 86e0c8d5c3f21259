//! The closed loops, and what is measured of them.

use std::time::{Duration, Instant};

use crate::counter::Counter;

/// Callers that ask at the same time.
pub const CALLERS: usize = 64;

#[derive(Clone, Copy, Debug)]
pub struct Measured {
    pub rate: f64,
    pub p50_us: f64,
    pub p99_us: f64,
}

/// Each caller asks for an authorisation, waits until it is durable and asks again.
pub async fn in_process(counter: &Counter, callers: usize, window: Duration) -> Measured {
    let began = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let counter = counter.clone();
            tokio::spawn(async move {
                let mut took = Vec::new();
                while began.elapsed() < window {
                    let asked = Instant::now();
                    counter.authorise(caller).await;
                    took.push(asked.elapsed());
                }
                took
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    measured(all, began.elapsed())
}

pub fn measured(mut took: Vec<Duration>, window: Duration) -> Measured {
    took.sort_unstable();
    let at = |percent: usize| {
        let place = (took.len() * percent).div_ceil(100).saturating_sub(1);
        took.get(place).map_or(0.0, |took| (took.as_secs_f64() * 1e7).round() / 10.0)
    };
    Measured { rate: took.len() as f64 / window.as_secs_f64(), p50_us: at(50), p99_us: at(99) }
}
