//! What an account pays for again and again: a plan by the month, a domain by the year.
//!
//! Active → past due (the renewal was refused; the service goes on, it is asked for again) → suspended → ended. Paying leads back to
//! active from each stage but the last. The times are in [`crate::limits`].

pub mod advance;
pub mod cancel;
pub mod change;
pub mod get;
pub mod settle;
pub mod start;

mod end;
mod write;

use std::str::FromStr;

use purser_db::{DbError, Row};
use purser_values::id::{CloudAccountId, CloudResourceId};
use purser_values::{Money, Timestamp};

use crate::limits::{EXPIRY_NOTICES_S, GRACE_S, LAST_NOTICE_S, RETRY_S, SUSPENSION_S};
use crate::period::{Calendar, Period};
use crate::price::PriceList;

/// The kind of job that takes a subscription's next steps; its payload is `{"resource": id}`.
pub const JOB: &str = "billing";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plan,
    Domain,
}

/// Where a subscription stands. The moments are when it got there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Active,
    PastDue { since: Timestamp },
    Suspended { since: Timestamp },
    Ended { since: Timestamp },
}

/// What is paid for, at which price, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The plan's id, or the domain's name.
    pub plan: String,
    pub price: Money,
    pub prices: PriceList,
    pub payment: Payment,
}

/// The accepted quote's lines and the payment token. Free plans have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payment {
    pub quote: String,
    pub line: String,
    /// The line that use is billed under.
    pub usage_line: Option<String>,
    /// Sealed for the resource.
    pub token: Option<Vec<u8>>,
}

/// A plan that takes over, at once or when the period ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub terms: Terms,
    pub at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Subscription {
    pub resource: CloudResourceId,
    pub account: CloudAccountId,
    pub kind: Kind,
    pub terms: Terms,
    pub calendar: Calendar,
    /// Which period it is in, from 0 on.
    pub number: i32,
    pub state: State,
    /// Renewals of this period that were refused.
    pub tries: i64,
    /// Notices of this stage that were sent.
    pub told: i64,
    /// Whether another period follows.
    pub renews: bool,
    pub change: Option<Change>,
    /// When the next step is due.
    pub next_at: Timestamp,
    pub created_at: Timestamp,
}

impl Subscription {
    #[must_use]
    pub fn period(&self) -> Period {
        self.calendar.period(self.number)
    }

    /// The period whose renewal is due or paid next.
    #[must_use]
    pub fn next_period(&self) -> Period {
        self.calendar.period(self.number.saturating_add(1))
    }

    /// The next renewal's terms.
    #[must_use]
    pub fn next_terms(&self) -> &Terms {
        match &self.change {
            Some(change) if change.at >= self.period().end => &change.terms,
            _ => &self.terms,
        }
    }

    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Ended { .. })
    }

    /// When something is to be done next, given where it stands now. A refused renewal is tried again in its own time.
    pub(crate) fn due(&self, now: Timestamp) -> Timestamp {
        match self.state {
            State::Active => {
                let end = self.period().end;
                let change = self.change.as_ref().map_or(end, |change| change.at.min(end));
                self.next_notice().map_or(change, |at| at.min(change))
            }
            State::PastDue { since } => now.plus_secs(RETRY_S).min(since.plus_secs(GRACE_S)),
            State::Suspended { since } => {
                let deletion = since.plus_secs(SUSPENSION_S);
                let notice = if self.told == 0 { deletion.plus_secs(-LAST_NOTICE_S) } else { deletion };
                now.plus_secs(RETRY_S).min(notice.max(now)).min(deletion)
            }
            State::Ended { since } => since,
        }
    }

    /// When the owner of a domain that ends is told next.
    pub(crate) fn next_notice(&self) -> Option<Timestamp> {
        if self.kind != Kind::Domain {
            return None;
        }
        let before = EXPIRY_NOTICES_S.get(usize::try_from(self.told).ok()?)?;
        Some(self.period().end.plus_secs(-before))
    }
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Domain => "domain",
        }
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        [Self::Plan, Self::Domain].into_iter().find(|kind| kind.name() == s).ok_or_else(|| format!("`{s}` is not paid for"))
    }
}

impl State {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::PastDue { .. } => "past_due",
            Self::Suspended { .. } => "suspended",
            Self::Ended { .. } => "ended",
        }
    }

    pub(crate) const fn since(self) -> Option<Timestamp> {
        match self {
            Self::Active => None,
            Self::PastDue { since } | Self::Suspended { since } | Self::Ended { since } => Some(since),
        }
    }
}

pub(crate) fn read(row: &Row) -> Result<Subscription, DbError> {
    let currency = row.parse("currency")?;
    let since: Timestamp = row.get("since")?;
    let state = match row.get::<String>("state")?.as_str() {
        "active" => State::Active,
        "past_due" => State::PastDue { since },
        "suspended" => State::Suspended { since },
        "ended" => State::Ended { since },
        other => return Err(DbError::Corrupt(format!("`{other}` is no state of a subscription"))),
    };
    let change = match (row.get::<Option<String>>("change_plan")?, row.get::<Option<i64>>("change_price")?) {
        (Some(plan), Some(price)) => Some(Change {
            terms: Terms {
                plan,
                price: Money::from_minor(price, currency),
                prices: row.json("change_prices")?,
                payment: Payment {
                    quote: row.get("change_quote")?,
                    line: row.get("change_line")?,
                    usage_line: row.get("change_usage_line")?,
                    token: row.get("change_token")?,
                },
            },
            at: row.get("change_at")?,
        }),
        _ => None,
    };
    Ok(Subscription {
        resource: row.parse("resource")?,
        account: row.parse("account")?,
        kind: row.parse("kind")?,
        terms: Terms {
            plan: row.get("plan")?,
            price: Money::from_minor(row.get("price_minor")?, currency),
            prices: row.json("prices")?,
            payment: Payment {
                quote: row.get("quote")?,
                line: row.get("line")?,
                usage_line: row.get("usage_line")?,
                token: row.get("token")?,
            },
        },
        calendar: Calendar { anchor: row.get("anchor")?, months: narrow(row.get("months")?)? },
        number: narrow(row.get("number")?)?,
        state,
        tries: row.get("tries")?,
        told: row.get("told")?,
        renews: row.get("renews")?,
        change,
        next_at: row.get("next_at")?,
        created_at: row.get("created_at")?,
    })
}

fn narrow(n: i64) -> Result<i32, DbError> {
    i32::try_from(n).map_err(|e| DbError::Corrupt(e.to_string()))
}
