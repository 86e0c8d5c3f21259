//! How busy the machine is with what others do.

use std::time::Duration;

/// Below this a machine has nothing else to do.
pub const QUIET_PERCENT: u64 = 15;

/// The part of the processors' time that was not idle, while this program slept.
pub fn busy_percent(window: Duration) -> u64 {
    let before = times();
    std::thread::sleep(window);
    let after = times();
    let (all, idle) = (after.0.saturating_sub(before.0), after.1.saturating_sub(before.1));
    100 * all.saturating_sub(idle) / all.max(1)
}

/// All and idle time of all processors, in ticks: the first line of `/proc/stat` (user, nice, system, idle, iowait, ...).
fn times() -> (u64, u64) {
    let text = std::fs::read_to_string("/proc/stat").unwrap();
    let ticks: Vec<u64> = text.lines().next().unwrap().split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    (ticks.iter().sum(), ticks[3] + ticks[4])
}
