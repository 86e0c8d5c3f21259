//! Why an agent is frozen, where no person did it.

/// The alert for which a budget froze it.
pub(super) const FROZEN_FOR: &str = "alter table agent add column frozen_for {text}";
