//! Invoices and credit notes.
//!
//! A document is made with the money that it is about, in one write: there are no drafts and none that are open. It is kept as one text with
//! its digest, and nothing here changes one.
//!
//! INVARIANT (no-gap): the numbers of a series are 1, 2, 3 …; a number is taken in the write that issues the document.

pub mod page;

use purser_db::{DbError, Row, Tx, params};
use purser_values::id::{ChargeId, CloudAccountId, CloudResourceId, RefundId};
use purser_values::{Currency, Env, Money, Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::subscription::Subscription;

/// Why no tax is on a line of tax.
const NO_TAX: &str = "no tax is charged: the seller is not registered for tax on these services";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Invoice,
    CreditNote,
}

/// A document as it was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub number: String,
    pub kind: Kind,
    pub account: String,
    pub resource: String,
    pub issued_at: Timestamp,
    pub currency: Currency,
    pub lines: Vec<Line>,
    pub tax_minor: i64,
    pub tax_reason: String,
    pub total_minor: i64,
    /// The charges that paid an invoice; for a credit note, the one that is given back.
    pub charges: Vec<String>,
    /// The refund of a credit note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<String>,
    /// The invoice that a credit note is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
    pub quantity: u64,
    /// As people read it: `USD 0.30 per 1000000`.
    pub unit_price: String,
    pub amount_minor: i64,
    /// The line of the invoice that a line of a credit note is about, from 1 on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of_line: Option<u32>,
}

impl Line {
    /// One unit for a stretch of time.
    #[must_use]
    pub fn period(description: String, amount: Money, start: Timestamp, end: Timestamp) -> Self {
        Self { start: Some(start), end: Some(end), ..Self::amount(description, amount) }
    }

    #[must_use]
    pub fn amount(description: String, amount: Money) -> Self {
        Self {
            description,
            start: None,
            end: None,
            quantity: 1,
            unit_price: amount.to_string(),
            amount_minor: amount.minor(),
            of_line: None,
        }
    }
}

/// What is to be issued.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    kind: Kind,
    account: CloudAccountId,
    resource: CloudResourceId,
    lines: Vec<Line>,
    charges: Vec<ChargeId>,
    refund: Option<RefundId>,
    of: Option<String>,
    /// What was captured or given back: what the lines must add up to.
    money: Money,
}

impl Draft {
    pub(crate) fn invoice(sub: &Subscription, lines: Vec<Line>, charges: Vec<ChargeId>, money: Money) -> Self {
        let (account, resource) = (sub.account.clone(), sub.resource.clone());
        Self { kind: Kind::Invoice, account, resource, lines, charges, refund: None, of: None, money }
    }

    pub(crate) fn credit_note(
        account: &CloudAccountId,
        resource: &CloudResourceId,
        lines: Vec<Line>,
        (charge, refund): (ChargeId, RefundId),
        of: Option<String>,
        money: Money,
    ) -> Self {
        let (account, resource) = (account.clone(), resource.clone());
        Self { kind: Kind::CreditNote, account, resource, lines, charges: vec![charge], refund: Some(refund), of, money }
    }
}

/// Issues the document under the next number of its series.
///
/// # Errors
/// When the lines do not add up to the money, or the store fails.
pub(crate) fn issue(tx: &mut Tx<'_>, env: &Env, draft: &Draft) -> Result<Document, DbError> {
    let sum = draft.lines.iter().try_fold(0_i64, |sum, line| sum.checked_add(line.amount_minor));
    if sum != Some(draft.money.minor()) {
        return Err(DbError::Corrupt(format!("the lines of a document add up to {sum:?} and its money is {}", draft.money)));
    }
    let (series, prefix) = match draft.kind {
        Kind::Invoice => ("invoice", "INV"),
        Kind::CreditNote => ("credit_note", "CRN"),
    };
    let next = "insert into bill_series (series, last) values ($1, 1) on conflict (series) do update set last = bill_series.last + 1
                returning last";
    let position: i64 = tx.query_one(next, params![series])?.get("last")?;
    let document = Document {
        number: format!("{prefix}-{position:06}"),
        kind: draft.kind,
        account: draft.account.to_string(),
        resource: draft.resource.to_string(),
        issued_at: env.now(),
        currency: draft.money.currency(),
        lines: draft.lines.clone(),
        tax_minor: 0,
        tax_reason: NO_TAX.to_owned(),
        total_minor: draft.money.minor(),
        charges: draft.charges.iter().map(ToString::to_string).collect(),
        refund: draft.refund.as_ref().map(ToString::to_string),
        of: draft.of.clone(),
    };
    let body = serde_json::to_string(&document).map_err(|e| DbError::Other(e.to_string()))?;
    let digest = Sha256Digest::of(body.as_bytes());
    let insert = "insert into bill_document (number, series, position, account, resource, issued_at, total_minor, currency, body, digest)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
    let (number, total, currency) = (&document.number, document.total_minor, document.currency);
    let values = params![number, series, position, draft.account, draft.resource, document.issued_at, total, currency, body, digest];
    tx.execute(insert, values)?;
    if draft.kind == Kind::Invoice {
        for charge in &draft.charges {
            tx.execute("update bill_charge set invoice = $2 where id = $1", params![charge, number])?;
        }
    }
    Ok(document)
}

/// The account's documents, newest first.
///
/// # Errors
/// When the store fails, or a document is not what was issued.
pub fn document_list(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<Vec<Document>, DbError> {
    let select = "select body, digest from bill_document where account = $1 order by issued_at desc, series, position desc";
    tx.query(select, params![account])?.iter().map(read).collect()
}

/// Another account's document does not exist.
///
/// # Errors
/// When the store fails, or the document is not what was issued.
pub fn document_get(tx: &mut Tx<'_>, account: &CloudAccountId, number: &str) -> Result<Option<Document>, DbError> {
    let select = "select body, digest from bill_document where account = $1 and number = $2";
    tx.query_opt(select, params![account, number])?.as_ref().map(read).transpose()
}

/// The invoice that a charge paid.
pub(crate) fn of_charge(tx: &mut Tx<'_>, charge: &ChargeId) -> Result<Option<String>, DbError> {
    let row = tx.query_opt("select invoice from bill_charge where id = $1", params![charge])?;
    Ok(row.map(|row| row.get::<Option<String>>("invoice")).transpose()?.flatten())
}

fn read(row: &Row) -> Result<Document, DbError> {
    let body: String = row.get("body")?;
    let digest: Sha256Digest = row.get("digest")?;
    if Sha256Digest::of(body.as_bytes()) != digest {
        return Err(DbError::Corrupt("a document was changed after it was issued".to_owned()));
    }
    serde_json::from_str(&body).map_err(|e| DbError::Corrupt(e.to_string()))
}
