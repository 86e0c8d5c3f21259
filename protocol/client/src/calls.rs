//! The calls, by what they concern.

mod accounts;
mod catalog;
mod controls;
mod resources;
