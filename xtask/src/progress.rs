//! Progress lines on standard error: what is being done, then how long it took.

use std::time::{Duration, Instant};

use crate::fail::Outcome;

/// Does one step and says so.
pub fn step<T>(name: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    eprintln!("  ....  {name}");
    let started = Instant::now();
    let outcome = work();
    let verdict = if outcome.is_ok() { "done" } else { "FAIL" };
    eprintln!("  {verdict}  {name}  {}", duration(started.elapsed()));
    outcome
}

/// Says something that took no time.
pub fn note(text: &str) {
    eprintln!("        {text}");
}

/// A duration as a person reads it.
pub fn duration(took: Duration) -> String {
    let ms = took.as_millis();
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..120_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_in_the_unit_that_a_person_would_use() {
        for (ms, text) in [(0, "0 ms"), (999, "999 ms"), (1_250, "1.2 s"), (119_999, "119.9 s"), (125_000, "2 min 5 s")] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }
}
