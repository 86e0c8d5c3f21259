//! `account_open`: finds or makes the account of a subject.
//!
//! Repeating a request, and asking for the same subject twice at the same time, is one account: the key on issuer and subject
//! holds it. A request that brings only an e-mail address is a subject of its own kind and never reaches an attested account.

use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::id::CloudAccountId;
use purser_values::name::Email;

use super::{Account, AccountState, HexId, Owner, read};

/// Most characters of an organisation's name that are kept.
const ORGANISATION_CHARS: usize = 120;

/// Who asks, as far as it was proved.
#[derive(Clone, Debug)]
pub struct AccountOpening {
    pub owner: Owner,
    pub email: Email,
    pub organisation: String,
    /// The orchestrator's id of the request; the same id is the same account for ever.
    pub request: Option<String>,
}

/// The account, and whether it was made just now.
#[derive(Clone, Debug)]
pub struct Opened {
    pub account: Account,
    pub is_new: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum AccountOpenError {
    /// The request id was used for another subject.
    #[error("this request belongs to another identity; send a new request")]
    Pinned,
    /// An e-mail address alone does not reach the account of an attested person.
    #[error("this address belongs to an attested identity; send its `identity_assertion`")]
    AssertionNeeded,
    #[error(transparent)]
    Store(#[from] DbError),
}

/// # Errors
/// When the request or the address belongs to another identity, or the store fails.
pub fn account_open(tx: &mut Tx<'_>, env: &Env, opening: &AccountOpening) -> Result<Opened, AccountOpenError> {
    let owner = &opening.owner;
    if !owner.attested {
        let attested = "select 1 as one from cloud_account where email = $1 and attested = 1";
        if tx.query_opt(attested, params![opening.email])?.is_some() {
            return Err(AccountOpenError::AssertionNeeded);
        }
    }
    let is_new = insert(tx, env, opening)?;
    let select = "select * from cloud_account where issuer = $1 and subject = $2";
    let account = read(&tx.query_one(select, params![owner.issuer, owner.subject])?)?;
    if let Some(request) = &opening.request {
        remember(tx, owner, request, &account.id)?;
    }
    Ok(Opened { account, is_new })
}

fn insert(tx: &mut Tx<'_>, env: &Env, opening: &AccountOpening) -> Result<bool, DbError> {
    let (id, now) = (CloudAccountId::mint(env), env.now());
    let organisation: String = opening.organisation.chars().filter(|c| !c.is_control()).take(ORGANISATION_CHARS).collect();
    let insert = "insert into cloud_account (id, hex, issuer, subject, attested, email, organisation, state, created_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (issuer, subject) do nothing";
    let owner = &opening.owner;
    let state = AccountState::Active.as_str();
    let values =
        params![id, HexId::mint(env).as_str(), owner.issuer, owner.subject, owner.attested, opening.email, organisation, state, now];
    if tx.execute(insert, values)? == 0 {
        return Ok(false);
    }
    let member = "insert into cloud_member (account, email, role, added_at) values ($1, $2, 'owner', $3)";
    tx.execute(member, params![id, opening.email, now])?;
    Ok(true)
}

fn remember(tx: &mut Tx<'_>, owner: &Owner, request: &str, account: &CloudAccountId) -> Result<(), AccountOpenError> {
    let insert = "insert into account_request (issuer, request, account) values ($1, $2, $3) on conflict do nothing";
    if tx.execute(insert, params![owner.issuer, request, account])? == 1 {
        return Ok(());
    }
    let select = "select account from account_request where issuer = $1 and request = $2";
    let first: CloudAccountId = tx.query_one(select, params![owner.issuer, request])?.parse("account")?;
    if first == *account { Ok(()) } else { Err(AccountOpenError::Pinned) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MIGRATIONS;
    use purser_db::testing::{START, each_engine};

    fn opening(subject: &str, attested: bool, request: &str) -> AccountOpening {
        AccountOpening {
            owner: Owner { issuer: "https://o.test".into(), subject: subject.into(), attested },
            email: "ada@example.test".parse().unwrap(),
            organisation: "Ada\u{7}'s".into(),
            request: Some(request.into()),
        }
    }

    #[tokio::test]
    async fn one_subject_is_one_account_and_another_subject_is_another() {
        each_engine(&[MIGRATIONS], |db| async move {
            let (env, _) = Env::test(START, 2);
            let open = |o: AccountOpening| {
                let (db, env) = (db.clone(), env.clone());
                async move { db.write(move |tx| account_open(tx, &env, &o)).await }
            };
            let first = open(opening("pw_1", true, "r1")).await.unwrap();
            assert!(first.is_new);
            assert_eq!(first.account.organisation, "Ada's");
            let again = open(opening("pw_1", true, "r1")).await.unwrap();
            assert!(!again.is_new && again.account == first.account);
            let other = open(opening("pw_2", true, "r2")).await.unwrap();
            assert_ne!(other.account.id, first.account.id);
            assert!(matches!(open(opening("pw_3", true, "r1")).await, Err(AccountOpenError::Pinned)));
            assert!(matches!(open(opening("ada@example.test", false, "r4")).await, Err(AccountOpenError::AssertionNeeded)));
        })
        .await;
    }

    #[tokio::test]
    async fn eight_requests_at_once_make_one_account() {
        each_engine(&[MIGRATIONS], |db| async move {
            let tasks: Vec<_> = (0..8)
                .map(|i| {
                    let db = db.clone();
                    let (env, _) = Env::test(START, i);
                    tokio::spawn(async move { db.write(move |tx| account_open(tx, &env, &opening("pw", true, &format!("r{i}")))).await })
                })
                .collect();
            let mut made = 0;
            for task in tasks {
                made += i32::from(task.await.unwrap().unwrap().is_new);
            }
            assert_eq!(made, 1);
        })
        .await;
    }
}
