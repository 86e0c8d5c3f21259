//! What a measurement ran on.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

pub fn describe() -> Value {
    let model = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        model.lines().find_map(|line| line.strip_prefix("model name")).map(|rest| rest.trim_start_matches([' ', '\t', ':']).to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    json!({ "cores": cores, "cpu": model, "kernel": kernel.trim() })
}
