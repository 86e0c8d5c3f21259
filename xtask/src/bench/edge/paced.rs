//! A load at a fixed rate, for the time that requests take when nothing is at its limit: a loop that asks as fast as it is answered
//! measures its own queue.

use std::path::Path;
use std::process::Command;

use crate::fail::{Context, Failure, Outcome};
use crate::process;

/// Connections that share the rate.
const CONNECTIONS: u32 = 32;
const SECONDS: u32 = 3;
/// The first of this many parts is left out: connections are made then.
const WARM_UP_PART: usize = 10;

/// The 99th percentile in microseconds of requests to `host` at a port of this machine.
pub fn p99_us(h2load: &Path, folder: &Path, host: &str, port: u16, per_s: f64) -> Outcome<f64> {
    let log = folder.join("paced.log");
    // h2load adds to what is there
    let _ = std::fs::remove_file(&log);
    let mut command = Command::new(h2load);
    let rate = (per_s / f64::from(CONNECTIONS)).max(1.0).round();
    command.args(["--h1", "-t1", &format!("-c{CONNECTIONS}"), &format!("-D{SECONDS}"), &format!("--rps={rate}")]);
    command.arg(format!("--connect-to=127.0.0.1:{port}")).arg(format!("--log-file={}", log.display())).arg(format!("http://{host}/"));
    process::capture(&mut command, "loading at a fixed rate")?;
    let text = std::fs::read_to_string(&log).context(|| format!("reading `{}`", log.display()))?;
    let asked = (per_s * f64::from(SECONDS)) as usize;
    of_log(&text, asked)
        .ok_or_else(|| Failure::new(format!("`{host}` did not answer {asked} requests in {SECONDS} s, or not all with 200")))
}

/// Lines of start, status and duration, in order of their ends. None when an answer was no 200 or fewer than half of them came.
fn of_log(text: &str, asked: usize) -> Option<f64> {
    let mut took = Vec::new();
    for line in text.lines() {
        let mut fields = line.split('\t').skip(1);
        if fields.next()? != "200" {
            return None;
        }
        took.push(fields.next()?.parse::<f64>().ok()?);
    }
    if took.len() < asked / 2 {
        return None;
    }
    let mut took = took.split_off(took.len() / WARM_UP_PART);
    took.sort_by(f64::total_cmp);
    took.get(took.len() * 99 / 100).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gives_its_percentile_and_a_bad_answer_or_too_few_give_none() {
        let log = |status: &str| (0..200).map(|n| format!("17\t{status}\t{n}\n")).collect::<String>();
        assert_eq!(of_log(&log("200"), 200), Some(198.0));
        assert_eq!(of_log(&log("503"), 200), None);
        assert_eq!(of_log(&log("200"), 500), None);
    }
}
