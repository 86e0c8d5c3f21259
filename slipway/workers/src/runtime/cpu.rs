//! Processor time of a process and everything below it, as the kernel counts it: workerd itself reports none.

use std::fs;

/// Ticks of `/proc` in a second: a constant of Linux's interface (`USER_HZ`), whatever the kernel's own clock is.
const USER_HZ: u64 = 100;
/// A keeper, its jail, workerd: no more generations than this are looked at.
const GENERATIONS: usize = 4;

/// Milliseconds since the process began, with its living descendants and the dead that were waited for. Nothing when it is gone.
pub fn of_tree(pid: u32) -> Option<u64> {
    let ticks = tree(pid, GENERATIONS)?;
    Some(ticks.saturating_mul(1_000) / USER_HZ)
}

fn tree(pid: u32, deeper: usize) -> Option<u64> {
    let own = ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    if deeper == 0 {
        return Some(own);
    }
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let below: u64 = children.split_whitespace().filter_map(|child| tree(child.parse().ok()?, deeper - 1)).sum();
    Some(own.saturating_add(below))
}

/// utime, stime, cutime and cstime of a line of `/proc/PID/stat` (proc(5)). The name in parentheses may hold anything.
fn ticks(stat: &str) -> Option<u64> {
    let (_, after) = stat.rsplit_once(')')?;
    after.split_whitespace().skip(11).take(4).map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_times_are_read_past_any_name() {
        let stat = "7 (a) b) R 1 7 7 0 -1 4194560 1 0 0 0 10 20 3 4 20 0 1 0 5 0 0";
        assert_eq!(ticks(stat), Some(37));
        assert_eq!(ticks("7 (short) R 1"), Some(0));
        assert_eq!(ticks("nothing"), None);
    }

    #[test]
    fn what_this_process_does_is_counted() {
        let pid = std::process::id();
        let before = of_tree(pid).unwrap();
        let mut n = 0_u64;
        while of_tree(pid).unwrap() < before + 30 {
            n = n.wrapping_mul(31).wrapping_add(7);
        }
        assert!(of_tree(u32::MAX).is_none(), "{n}");
    }
}
