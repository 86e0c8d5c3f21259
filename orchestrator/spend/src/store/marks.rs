//! What is kept of a purchase for those who read about it later.

/// Whether it cannot be undone.
pub(super) const MARKS: &str = "alter table spend_hold add column irreversible {int} not null default 0";
