//! Every limit of this room, by name.

use crate::percent::Percent;

/// Life of a hold that nobody charges, in seconds.
pub const HOLD_LIFE_S: i64 = 3600;
/// Life of a payment token whose quote comes again every month or year, in seconds. Without a hold it is worth nothing.
pub const RECURRING_TOKEN_LIFE_S: i64 = 400 * 86_400;
/// Longest name of a category of services, in characters.
pub const CATEGORY_CHARS: usize = 64;
/// Most lines of a quote.
pub const QUOTE_LINES: usize = 32;
/// Shares of a cap, in percent, at which an alert is raised; those of a budget unless others are chosen.
pub const ALERT_THRESHOLDS: [Percent; 3] = [Percent::whole(50), Percent::whole(80), Percent::whole(100)];
/// Most refunds that are shown as owed.
pub const OWED: i64 = 10_000;
/// Highest share of a budget, in percent, at which an alert can be wanted.
pub const BUDGET_PERCENT_MAX: Percent = Percent::whole(1_000);
/// Most thresholds of one budget.
pub const BUDGET_THRESHOLDS: usize = 10;
/// Most budgets of one organisation: each capture looks at all of them.
pub const BUDGETS: i64 = 200;
/// How often a budget's forecast is looked at when nothing is charged, in seconds.
pub const BUDGET_LOOK_S: i64 = 3600;
/// How far back a subscription was charged for the last time to be expected again, in seconds: a year and some.
pub const BUDGET_RECURRING_S: i64 = 400 * 86_400;
/// The pace of a budget's period is not told before this part of it is over, and what was spent once is never taken to have needed
/// less time than that.
pub const PACE_PART: i64 = 10;
/// Money goes fast when within this part of a budget's period ...
pub const BURN_PART: i64 = 30;
/// ... more than this part of the budget goes ...
pub const BURN_SHARE: i64 = 4;
/// ... in at least this many charges.
pub const BURN_CHARGES: i64 = 3;
/// A charge is unusual when it is more than this many times the median ...
pub const UNUSUAL_TIMES: i64 = 5;
/// ... of as many charges by the provider before it as there are, up to this many ...
pub const UNUSUAL_LOOK_BACK: usize = 20;
/// ... and at least this many.
pub const UNUSUAL_LEAST: usize = 5;
/// How long before it is due a renewal's money is set aside, in seconds.
pub const RENEWAL_AHEAD_S: i64 = 3 * 86_400;
/// How long after it was due a renewal's money stays set aside, in seconds.
pub const RENEWAL_GRACE_S: i64 = 7 * 86_400;
/// How long money that was set aside for use stays so after the last block, in seconds: a period and the time to charge it.
pub const USAGE_LIFE_S: i64 = 40 * 86_400;
/// How long after its service was removed use may still be charged from its blocks, in seconds: a provider's tries, one a day, and a day.
pub const USAGE_CLOSING_S: i64 = 8 * 86_400;
/// Blocks of use of a month that ended this long ago go back, in seconds: a period that began on its last day, and its tries.
pub const USAGE_KEPT_S: i64 = 60 * 86_400;
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
/// How long after a seller's token ended an authorisation that was made with it can still be captured, in seconds: card networks let
/// one live for seven days.
pub const SELLER_AUTHORISATION_S: i64 = 7 * 86_400;
/// How long a person has to set a payment method up, in seconds.
pub const SETUP_LIFE_S: i64 = 86_400;
/// Most setups that an organisation may have open.
pub const OPEN_SETUPS: i64 = 20;
/// Longest evidence of an application for a credit, in characters.
pub const CREDIT_EVIDENCE_CHARS: usize = 4_000;
/// Longest reason of a decision over one, in characters.
pub const CREDIT_REASON_CHARS: usize = 300;
/// How many days before a credit ends people are told, each once.
pub const CREDIT_ALERTS_DAYS: [i64; 2] = [30, 7];
/// How long what a provider said of its credits is believed before it is asked again, in seconds.
pub const CREDIT_FRESH_S: i64 = 3_600;
/// When the sandbox's card that disputes later does so, in seconds after the payment.
pub const SANDBOX_DISPUTE_AFTER_S: i64 = 2;
/// Most that a stated rate may be off, in basis points.
pub const RATE_DEVIATION_BP: i64 = 5_000;
/// How long a stated rate may be in force, in seconds.
pub const RATE_LIFE_S: i64 = 400 * 86_400;
/// Longest source of a rate, in characters.
pub const RATE_SOURCE_CHARS: usize = 200;
/// Most digits of either part of a rate.
pub const RATE_DIGITS: usize = 12;
