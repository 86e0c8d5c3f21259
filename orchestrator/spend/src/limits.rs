//! Every limit of this room, by name.

/// Life of a hold that nobody charges, in seconds.
pub const HOLD_LIFE_S: i64 = 3600;
/// Life of a payment token whose quote comes again every month or year, in seconds. Without a hold it is worth nothing.
pub const RECURRING_TOKEN_LIFE_S: i64 = 400 * 86_400;
/// Longest name of a category of services, in characters.
pub const CATEGORY_CHARS: usize = 64;
/// Most lines of a quote.
pub const QUOTE_LINES: usize = 32;
/// Shares of a cap, in percent, that are told by mail.
pub const ALERT_THRESHOLDS: [i64; 2] = [80, 100];
/// How long before it is due a renewal's money is set aside, in seconds.
pub const RENEWAL_AHEAD_S: i64 = 3 * 86_400;
/// How long after it was due a renewal's money stays set aside, in seconds.
pub const RENEWAL_GRACE_S: i64 = 7 * 86_400;
/// How long money that was set aside for use stays so after the last block, in seconds: a period and the time to charge it.
pub const USAGE_LIFE_S: i64 = 40 * 86_400;
/// Most blocks of use in one period of one line.
pub const USAGE_BLOCKS: u32 = 10_000;
/// Wait before a charge that was begun and not finished is taken up again, in seconds.
pub const CHARGE_RESUME_S: i64 = 30;
/// How long an order that was undone waits for its refund before the provider is shown as owing it, in seconds.
pub const REFUND_PATIENCE_S: i64 = 30;
/// Holds and renewals worked on in one write.
pub const BATCH: i64 = 100;
/// Longest text of a provider that is kept, in characters.
pub const TEXT_CHARS: usize = 300;
/// How long a charge waits for its person to confirm it with their bank, in seconds; its money stays set aside as long.
pub const CONFIRM_PATIENCE_S: i64 = 86_400;
/// How long a person has to set a payment method up, in seconds.
pub const SETUP_LIFE_S: i64 = 86_400;
/// Most setups that an organisation may have open.
pub const OPEN_SETUPS: i64 = 20;
/// When the sandbox's card that disputes later does so, in seconds after the payment.
pub const SANDBOX_DISPUTE_AFTER_S: i64 = 2;
