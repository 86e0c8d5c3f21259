//! What an account's owner is told, with the write that it follows from: once.

use purser_db::{DbError, Tx};
use purser_values::Timestamp;
use slipway_accounts::account::get::account_get;
use slipway_accounts::realm::{MailError, Realm};

use crate::limits::{GRACE_S, SUSPENSION_S};
use crate::subscription::Subscription;

pub(crate) enum Notice {
    PastDue { why: String },
    UseNotPaid { why: String },
    Suspended,
    DeletionSoon { at: Timestamp },
    Deleted,
    Ended,
    Resumed,
    NotChanged { plan: String, why: String },
    Expires { at: Timestamp, renews: bool },
}

/// Puts the mail into the queue. An account that is gone is told nothing.
pub(crate) fn tell(tx: &mut Tx<'_>, realm: &Realm, sub: &Subscription, notice: &Notice) -> Result<(), DbError> {
    let Some(account) = account_get(tx, &sub.account)? else { return Ok(()) };
    let (subject, text) = notice.words(sub);
    let text = format!("{text}\n\nYour invoices and subscriptions: {}billing\n", realm.public_url);
    realm.mail(tx, &account.email, &subject, text).map_err(|e| match e {
        MailError::Store(e) => e,
        MailError::Seal(e) => DbError::Other(e.to_string()),
    })
}

impl Notice {
    fn words(&self, sub: &Subscription) -> (String, String) {
        let (what, price) = (&sub.terms.plan, sub.next_terms().price);
        let (grace, suspension) = (GRACE_S / 86_400, SUSPENSION_S / 86_400);
        match self {
            Self::PastDue { why } => (
                format!("The renewal of {what} was not paid"),
                format!(
                    "The renewal of `{what}` for {price} was not paid: {why}\n\n\
                     We try again every day for {grace} days; until then everything goes on. Then it is suspended, and {suspension} days later \
                     deleted. Raise the limit or mend the card where you manage your agents, and the next try works; you can also try at once."
                ),
            ),
            Self::UseNotPaid { why } => (
                format!("The use of {what} was not paid"),
                format!(
                    "What was used of `{what}` beyond what it includes was not paid: {why}\n\n\
                     We try again every day for {grace} days; until then everything goes on. Then it is suspended, and {suspension} days later \
                     deleted. Mend what is named where you manage your agents, and the next try works; you can also try at once."
                ),
            ),
            Self::Suspended => (
                format!("{what} is suspended"),
                format!(
                    "`{what}` was not paid for {grace} days and is suspended. Paying brings it back; after {suspension} days it is deleted."
                ),
            ),
            Self::DeletionSoon { at } => (
                format!("{what} will be deleted"),
                format!("`{what}` is not paid and will be deleted at {}. Paying keeps it.", at.for_people()),
            ),
            Self::Deleted => (format!("{what} was deleted"), format!("`{what}` was not paid and was deleted.")),
            Self::Ended => (format!("{what} has ended"), format!("`{what}` has ended as it was to. Nothing more is charged.")),
            Self::Resumed => (format!("{what} is paid"), format!("`{what}` is paid. Everything goes on.")),
            Self::NotChanged { plan, why } => {
                (format!("The plan was not changed to {plan}"), format!("The change to `{plan}` was not paid: {why}\n\n`{what}` goes on."))
            }
            Self::Expires { at, renews: true } => (
                format!("{what} is renewed soon"),
                format!("`{what}` ends at {} and is renewed for {price} then. You can still choose otherwise.", at.for_people()),
            ),
            Self::Expires { at, renews: false } => (
                format!("{what} ends soon"),
                format!("`{what}` ends at {} and is not renewed by itself. Order it again to keep it.", at.for_people()),
            ),
        }
    }
}
