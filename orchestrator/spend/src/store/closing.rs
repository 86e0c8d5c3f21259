//! How holds that close, and blocks of use that nobody needs any more, are found.

pub(super) const CLOSING: &str = "create index spend_hold_closing on spend_hold (expires_at) where state = 'closing';
create index spend_hold_line_use on spend_hold_line (month) where recurs = 'metered' and state = 'open' and period <> ''";
