//! The pinned workerd: a plain binary inside a platform package, so neither Node nor an install script is needed to run it.

use std::path::PathBuf;
use std::process::Command;

use super::npm;
use crate::fail::{Failure, Outcome};
use crate::house::House;
use crate::process;

pub fn install(house: &House) -> Outcome<PathBuf> {
    let package = platform(std::env::consts::OS, std::env::consts::ARCH)?;
    let binary = npm::install(house, "runtime/workerd", &format!("@cloudflare/{package}/bin/workerd"))?;
    process::capture(Command::new(&binary).arg("--version"), "asking workerd for its version").map_err(|failure| {
        failure.advise("workerd needs glibc 2.27 or later; on a system built on musl, run Purser in a container that has glibc")
    })?;
    Ok(binary)
}

/// The npm package that holds the binary for a system.
fn platform(os: &str, arch: &str) -> Outcome<&'static str> {
    match (os, arch) {
        ("linux", "x86_64") => Ok("workerd-linux-64"),
        ("linux", "aarch64") => Ok("workerd-linux-arm64"),
        _ => Err(Failure::new(format!("slipway runs Workers on Linux (x86-64 or arm64) only, not on {os} {arch}"))
            .advise("use a Linux machine, a virtual machine or a container")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_a_pinned_binary_is_named_with_what_to_do() {
        assert_eq!(platform("linux", "x86_64").unwrap(), "workerd-linux-64");
        let refused = platform("macos", "aarch64").unwrap_err().to_string();
        assert!(refused.contains("macos aarch64") && refused.contains("what to do"), "{refused}");
    }
}
