//! What the people who run `purser serve` do with it: the first owner, watching, restarting, backups, stopping a person.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "operate/backup.rs"]
mod backup;
#[path = "operate/check_config.rs"]
mod check_config;
#[path = "operate/company.rs"]
mod company;
#[path = "operate/installation.rs"]
mod installation;
#[path = "operate/logout.rs"]
mod logout;
#[path = "operate/owner.rs"]
mod owner;
#[path = "operate/restart.rs"]
mod restart;
#[allow(dead_code, reason = "each suite uses a part")]
#[path = "system/stage.rs"]
mod stage;
#[path = "operate/upgrade.rs"]
mod upgrade;
#[path = "operate/watch.rs"]
mod watch;
