//! The end of a credit: its owner is told before, each time once, and what is left then is gone.

use purser_db::jobs::{NewJob, enqueue};
use purser_db::{DbError, Tx, params};
use purser_values::id::CreditId;
use purser_values::{Env, Timestamp};
use serde_json::json;
use slipway_accounts::account::get::account_get;
use slipway_accounts::realm::{MailError, Realm};

use super::book::{Place, balance, transfer};
use super::{Credit, JOB, read};
use crate::credit::forecast::forecast_of;
use crate::limits::CREDIT_NOTICES_S;

/// Takes every step of a credit that is due. Doing it again changes nothing.
///
/// # Errors
/// When the store fails.
pub fn credit_advance(tx: &mut Tx<'_>, realm: &Realm, id: &CreditId) -> Result<(), DbError> {
    let Some(row) = tx.query_opt("select * from bill_credit where id = $1", params![id])? else { return Ok(()) };
    let mut credit = read(&row)?;
    let now = realm.env.now();
    if credit.is_over {
        return Ok(());
    }
    let left = purser_values::Money::from_minor(balance(tx, id, Place::Available)?, credit.given.currency());
    if now >= credit.expires_at {
        tx.execute("update bill_credit set state = 'expired' where id = $1", params![id])?;
        transfer(tx, &realm.env, id, (Place::Available, Place::Expired), left.minor(), "expiry")?;
        let text = format!("Your credit `{}` has ended. {left} of {} was not used.", credit.programme, credit.given);
        return mail(tx, realm, &credit, "Your credit has ended", text);
    }
    let told = credit.told;
    while next_notice(&credit).is_some_and(|at| now >= at) {
        credit.told += 1;
    }
    if credit.told > told {
        tx.execute("update bill_credit set told = $2 where id = $1", params![id, credit.told])?;
        if left.is_positive() {
            let after = forecast_of(tx, &credit.account, now)?;
            let then = after.map_or_else(String::new, |f| format!(" From then on your card pays about {} a month.", f.monthly));
            let text = format!(
                "Your credit `{}` ends at {}. {left} of {} is left.{then}",
                credit.programme,
                credit.expires_at.for_people(),
                credit.given
            );
            mail(tx, realm, &credit, "Your credit ends soon", text)?;
        }
    }
    schedule(tx, &realm.env, &credit)
}

fn next_notice(credit: &Credit) -> Option<Timestamp> {
    let before = CREDIT_NOTICES_S.get(usize::try_from(credit.told).ok()?)?;
    Some(credit.expires_at.plus_secs(-before))
}

/// The job of the next step.
pub(super) fn schedule(tx: &mut Tx<'_>, env: &Env, credit: &Credit) -> Result<(), DbError> {
    let run_at = next_notice(credit).unwrap_or(credit.expires_at);
    let dedupe = Some(format!("{JOB}:{}:{}", credit.id, run_at.as_micros()));
    enqueue(tx, env, &NewJob { run_at, dedupe, ..NewJob::now(env, JOB, json!({"credit": credit.id})) })
}

/// An account that is gone is told nothing.
pub(super) fn mail(tx: &mut Tx<'_>, realm: &Realm, credit: &Credit, subject: &str, text: String) -> Result<(), DbError> {
    let Some(account) = account_get(tx, &credit.account)? else { return Ok(()) };
    realm.mail(tx, &account.email, subject, text).map_err(|e| match e {
        MailError::Store(e) => e,
        MailError::Seal(e) => DbError::Other(e.to_string()),
    })
}
