//! What the end-to-end stories share: the real system on a folder, a person with a browser, an agent with the command.
//!
//! Nothing in here is a stand-in for a part of ours: the binaries run as they ship, the person presses the buttons of the real
//! pages and reads the real mailbox, and the agent has nothing but the `purser` command and its home.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

pub mod agent;
pub mod binaries;
pub mod browser;
#[path = "../../xtask/src/demo/form.rs"]
pub mod form;
pub mod person;
pub mod processes;
pub mod site;
pub mod store;
pub mod system;
pub mod world;

pub use agent::{Agent, Ask, Envelope};
pub use person::{Choice, Person};
pub use system::System;
pub use world::World;
