//! Every limit of this room, by name.

/// How long a renewal that was refused is asked for again while the service goes on, in seconds.
pub const GRACE_S: i64 = 7 * 86_400;
/// How long the service is suspended after that before it is deleted, in seconds.
pub const SUSPENSION_S: i64 = 14 * 86_400;
/// Time between two tries of a renewal that was refused, in seconds.
pub const RETRY_S: i64 = 86_400;
/// How long a renewal may go unanswered until it counts as not paid, in seconds; it is asked for all the same.
pub const UNANSWERED_S: i64 = 86_400;
/// How long before the deletion the last mail goes out, in seconds.
pub const LAST_NOTICE_S: i64 = 3 * 86_400;
/// How long before a domain ends its owner is told, in seconds; each once.
pub const EXPIRY_NOTICES_S: [i64; 3] = [30 * 86_400, 7 * 86_400, 86_400];
/// How long before a credit ends its owner is told, in seconds; each once.
pub const CREDIT_NOTICES_S: [i64; 2] = [30 * 86_400, 7 * 86_400];
/// Most payments to come that a forecast looks at.
pub const FORECAST_STEPS: usize = 5_000;
/// How much is set aside for use at a time, in minor units.
pub const BLOCK_MINOR: i64 = 5_00;
/// Wait before a block that was refused is asked for again, in seconds.
pub const BLOCK_RETRY_S: i64 = 60;
/// Until when the unused part of a plan's period can be had back, in seconds after its start.
pub const PLAN_REFUND_S: i64 = 14 * 86_400;
/// Until when a domain can be had back, in seconds after its order.
pub const DOMAIN_REFUND_S: i64 = 86_400;
/// Longest reason that is kept, in characters.
pub const TEXT_CHARS: usize = 300;
/// Most steps of one subscription in one run; the next job goes on.
pub const STEPS: usize = 64;
/// Subscriptions taken up at once after a start.
pub const BATCH: u32 = 500;
/// How long the id of a batch of measurements is remembered, in seconds.
pub const BATCH_KEPT_S: i64 = 7 * 86_400;
