//! `account_open`: what becomes of an orchestrator's request for an account.
//!
//! A subject that is linked gets its account again. An address that nobody here has is opened an account, whose owner can claim it by
//! signing in. Everything else needs the owner: nothing is made and nothing changes.

use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::id::CloudAccountId;
use purser_values::name::Email;

use super::get::account_get;
use super::{Account, AccountState, HexId, Owner, read, shown};
use crate::link::get::{link_of, was_linked};
use crate::link::scope::Scopes;
use crate::link::{Draft, Link, LinkState, put};
use crate::person::Person;
use crate::person::find::{attested_again, insert, person_find, person_of_account};
use crate::realm::{MailError, Realm};
use crate::suspension::{Bears, is_suspended};

/// Who asks, as far as it was proved.
#[derive(Clone, Debug)]
pub struct AccountOpening {
    pub owner: Owner,
    pub email: Email,
    pub organisation: String,
    pub scopes: Scopes,
    /// The orchestrator's id of the request; it stays with the subject that it was first for.
    pub request: Option<String>,
}

/// What a request comes to.
#[derive(Clone, Debug)]
pub enum AccountOpened {
    Account(Opened),
    /// The address is somebody's here, or the subject's link was cut: a person must agree.
    OwnerMustAgree,
}

/// The account, over which link, and whether it was made just now.
#[derive(Clone, Debug)]
pub struct Opened {
    pub account: Account,
    pub link: Link,
    pub is_new: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum AccountOpenError {
    /// The request id was used for another subject.
    #[error("this request belongs to another identity; send a new request")]
    Pinned,
    /// The operator stopped what asks, or the account.
    #[error("slipway's operator has suspended this; write to the address in the terms of service")]
    Suspended,
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// # Errors
/// When the request belongs to another identity, or the store fails.
pub fn account_open(tx: &mut Tx<'_>, realm: &Realm, opening: &AccountOpening) -> Result<AccountOpened, AccountOpenError> {
    let owner = &opening.owner;
    refuse_pinned(tx, opening)?;
    if is_suspended(tx, Bears { orchestrator: Some(&owner.issuer), ..Bears::default() })? {
        return Err(AccountOpenError::Suspended);
    }
    let (link, is_new) = match link_of(tx, owner)? {
        Some(link) => (link, false),
        None if person_find(tx, &opening.email)?.is_some() || was_linked(tx, owner)? => return Ok(AccountOpened::OwnerMustAgree),
        None => (open(tx, realm, opening)?, true),
    };
    if !is_new && owner.attested {
        // the mailbox of the account's own person, and no other that happens to be called the same by now
        let person = person_of_account(tx, &link.account)?.filter(|person| person.email == opening.email);
        if let Some(person) = person {
            attested_again(tx, &person, realm.env.now())?;
        }
    }
    remember(tx, opening, &link.account)?;
    let account = account_get(tx, &link.account)?.ok_or(DbError::NoRow)?;
    Ok(AccountOpened::Account(Opened { account, link, is_new }))
}

/// An account for somebody whom we have never met. The mail says how to claim it, and how to get rid of the orchestrator.
fn open(tx: &mut Tx<'_>, realm: &Realm, opening: &AccountOpening) -> Result<Link, AccountOpenError> {
    let (env, owner) = (&realm.env, &opening.owner);
    let person = insert(tx, env, &opening.email, None)?;
    let organisation = shown(&opening.organisation);
    let new = NewAccount { owner: Some(owner), person: &person, email: &opening.email, organisation: &organisation };
    let account = account_make(tx, env, &new)?.ok_or(DbError::NoRow)?;
    let draft =
        Draft { account: &account.id, owner, organisation: &organisation, person: None, state: LinkState::Active, scopes: opening.scopes };
    put(tx, env, &draft)?;
    let text = format!(
        "The orchestrator {issuer} opened a slipway account for this address, for the organisation\n\n    {organisation}\n\n\
         It is yours. Sign in on {base}connections with this address to see what is in it, and to cut the orchestrator off if you did\n\
         not want this.\n",
        issuer = owner.issuer,
        base = realm.public_url,
    );
    realm.mail(tx, &opening.email, "A slipway account was opened for you", text)?;
    Ok(link_of(tx, owner)?.ok_or(DbError::NoRow)?)
}

/// What an account is made of.
pub(crate) struct NewAccount<'a> {
    /// The subject that it is opened for; nobody, when a person makes it on a page.
    pub owner: Option<&'a Owner>,
    pub person: &'a Person,
    pub email: &'a Email,
    pub organisation: &'a str,
}

/// Makes an account with its owner. Nothing when the subject has opened one before.
pub(crate) fn account_make(tx: &mut Tx<'_>, env: &Env, new: &NewAccount<'_>) -> Result<Option<Account>, DbError> {
    let (id, now) = (CloudAccountId::mint(env), env.now());
    let own = Owner { issuer: "slipway".to_owned(), subject: id.as_str().to_owned(), attested: false };
    let owner = new.owner.unwrap_or(&own);
    let insert = "insert into cloud_account (id, hex, issuer, subject, attested, email, organisation, state, created_at)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (issuer, subject) do nothing returning *";
    let state = AccountState::Active.as_str();
    let values =
        params![id, HexId::mint(env).as_str(), owner.issuer, owner.subject, owner.attested, new.email, new.organisation, state, now];
    let Some(row) = tx.query_opt(insert, values)? else { return Ok(None) };
    let member = "insert into cloud_membership (account, person, role, added_at) values ($1, $2, 'owner', $3)";
    tx.execute(member, params![id, new.person.id, now])?;
    Ok(Some(read(&row)?))
}

fn refuse_pinned(tx: &mut Tx<'_>, opening: &AccountOpening) -> Result<(), AccountOpenError> {
    let Some(request) = &opening.request else { return Ok(()) };
    let select = "select subject from account_request where issuer = $1 and request = $2";
    match tx.query_opt(select, params![opening.owner.issuer, request])? {
        Some(row) if row.get::<Option<String>>("subject")?.as_ref() != Some(&opening.owner.subject) => Err(AccountOpenError::Pinned),
        _ => Ok(()),
    }
}

fn remember(tx: &mut Tx<'_>, opening: &AccountOpening, account: &CloudAccountId) -> Result<(), DbError> {
    let Some(request) = &opening.request else { return Ok(()) };
    let upsert = "insert into account_request (issuer, request, account, subject) values ($1, $2, $3, $4)
                  on conflict (issuer, request) do update set account = $3";
    tx.execute(upsert, params![opening.owner.issuer, request, account, opening.owner.subject]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::realm::testing::realm;
    use crate::store::MIGRATIONS;
    use purser_db::Migrations;
    use purser_db::testing::{START, each_engine};

    const TABLES: &[Migrations] = &[purser_db::MIGRATIONS, MIGRATIONS];

    fn opening(subject: &str, email: &str, request: &str) -> AccountOpening {
        AccountOpening {
            owner: Owner { issuer: "https://o.test".into(), subject: subject.into(), attested: true },
            email: email.parse().unwrap(),
            organisation: "Ada\u{7}'s\u{202e}".into(),
            scopes: Scopes::ALL,
            request: Some(request.into()),
        }
    }

    #[tokio::test]
    async fn one_subject_is_one_account_and_another_subject_needs_the_owner() {
        each_engine(TABLES, |db| async move {
            let realm = realm(&Env::test(START, 2).0);
            let open = |o: AccountOpening| {
                let (db, realm) = (db.clone(), realm.clone());
                async move { db.write(move |tx| account_open(tx, &realm, &o)).await }
            };
            let account = |opened| match opened {
                Ok(AccountOpened::Account(opened)) => opened,
                other => panic!("no account: {other:?}"),
            };
            let first = account(open(opening("pw_1", "ada@example.test", "r1")).await);
            assert!(first.is_new);
            assert_eq!(first.account.organisation, "Ada's");
            let again = account(open(opening("pw_1", "ada@example.test", "r1")).await);
            assert!(!again.is_new && again.account == first.account && again.link.id == first.link.id);
            let other = open(opening("pw_2", "ada@example.test", "r2")).await;
            assert!(matches!(other, Ok(AccountOpened::OwnerMustAgree)), "{other:?}");
            let pinned = open(opening("pw_3", "eve@example.test", "r1")).await;
            assert!(matches!(pinned, Err(AccountOpenError::Pinned)), "{pinned:?}");
        })
        .await;
    }

    #[tokio::test]
    async fn eight_requests_at_once_make_one_account() {
        each_engine(TABLES, |db| async move {
            let tasks: Vec<_> = (0..8)
                .map(|i| {
                    let db = db.clone();
                    let realm = realm(&Env::test(START, i).0);
                    let opening = opening("pw", "ada@example.test", &format!("r{i}"));
                    tokio::spawn(async move { db.write(move |tx| account_open(tx, &realm, &opening)).await })
                })
                .collect();
            let mut made = 0;
            for task in tasks {
                let AccountOpened::Account(opened) = task.await.unwrap().unwrap() else { panic!("no account") };
                made += i32::from(opened.is_new);
            }
            assert_eq!(made, 1);
        })
        .await;
    }
}
