//! The calls, by what they concern.

mod accounts;
mod catalog;
pub mod controls;
mod credits;
mod resources;
