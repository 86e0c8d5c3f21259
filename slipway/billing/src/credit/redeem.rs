//! `credit_redeem`: an organisation gets what a programme gives, once.

use purser_db::{DbError, Tx, params};
use purser_values::Sha256Digest;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{CloudAccountId, CreditId};
use purser_wire::credit::CreditAttestation;
use purser_wire::error::code;
use serde_json::json;
use slipway_accounts::account::get::account_get;
use slipway_accounts::account::shown;
use slipway_accounts::realm::Realm;

use super::book::{self, Place, transfer};
use super::programme::Offer;
use super::{Credit, advance, read};

#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    #[error("there is no programme `{0}` here")]
    Unknown(String),
    #[error("nothing is left to give under `{0}`")]
    Spent(String),
    #[error("`{0}` was given to this organisation, to somebody who owns it, or to its domain before")]
    GivenBefore(String),
    /// The account is another's, or nobody attested whose it is.
    #[error("the attestation is for another organisation than the one that this account was opened for")]
    NotTheirs,
    #[error("the application was redeemed for another account or programme")]
    OtherApplication,
    #[error(transparent)]
    Store(#[from] DbError),
}

impl RedeemError {
    /// The code on the wire.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unknown(_) => code::CREDIT_PROGRAMME_UNKNOWN,
            Self::Spent(_) => code::CREDIT_PROGRAMME_SPENT,
            Self::GivenBefore(_) => code::CREDIT_GIVEN_BEFORE,
            Self::NotTheirs | Self::OtherApplication => code::INVALID_ATTESTATION,
            Self::Store(e) => e.code(),
        }
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Unknown(_) => Kind::NotFound,
            Self::Spent(_) | Self::GivenBefore(_) => Kind::Conflict,
            Self::NotTheirs | Self::OtherApplication => Kind::Forbidden,
            Self::Store(e) => e.kind(),
        }
    }
}

/// Gives the credit. The same application for the same account is answered with what it got, however often it comes.
///
/// `attested` has been verified for us; that its subject is who the account's link is for is checked here. INVARIANT (credit-once): the
/// names go down in this write; of two that race, the second finds them.
///
/// # Errors
/// See [`RedeemError`]; nothing is given then.
pub fn credit_redeem(
    tx: &mut Tx<'_>,
    realm: &Realm,
    offers: &[Offer],
    account: &CloudAccountId,
    attested: &CreditAttestation,
) -> Result<Credit, RedeemError> {
    let owner = account_get(tx, account)?.ok_or(RedeemError::NotTheirs)?;
    let linked =
        "select 1 as one from cloud_link where account = $1 and issuer = $2 and subject = $3 and attested = 1 and state = 'active'";
    if tx.query_opt(linked, params![account, attested.iss, attested.sub])?.is_none() {
        return Err(RedeemError::NotTheirs);
    }
    let before = "select * from bill_credit where issuer = $1 and application = $2";
    if let Some(row) = tx.query_opt(before, params![attested.iss, attested.application])? {
        let credit = read(&row)?;
        let same = credit.account == *account && credit.programme == attested.programme;
        return if same { Ok(credit) } else { Err(RedeemError::OtherApplication) };
    }
    let offer = offers.iter().find(|offer| offer.programme.id == attested.programme);
    let offer = offer.ok_or_else(|| RedeemError::Unknown(shown(&attested.programme)))?;
    let (programme, env) = (&offer.programme, &realm.env);
    let amount = programme.amount;
    let given = book::given(tx, &programme.id, amount.currency())?;
    if given.saturating_add(amount.minor()) > offer.total.minor() {
        return Err(RedeemError::Spent(programme.id.clone()));
    }
    let id = CreditId::mint(env);
    for name in names(attested, &owner.email.canonical()) {
        let insert = "insert into bill_credit_name (programme, name, credit, at) values ($1, $2, $3, $4) on conflict do nothing";
        let first = tx.execute(insert, params![programme.id, name, id, env.now()])? == 1;
        if !first && !of(tx, &programme.id, &name, &id)? {
            return Err(RedeemError::GivenBefore(programme.id.clone()));
        }
    }
    let months = i32::try_from(programme.months).unwrap_or(i32::MAX);
    let insert =
        "insert into bill_credit (id, account, programme, issuer, application, evidence, currency, given_minor, covers, redeemed_at,
                      expires_at, told, state)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 0, 'active') returning *";
    let who = params![id, account, programme.id, attested.iss, attested.application, attested.evidence];
    let now = env.now();
    let what = params![amount.currency(), amount.minor(), json!(programme.covers), now, now.plus_months(months)];
    let credit = read(&tx.query_one(insert, &[who, what].concat())?)?;
    transfer(tx, env, &id, (Place::Given, Place::Available), amount.minor(), &attested.application)?;
    advance::schedule(tx, env, &credit)?;
    let text = format!(
        "{} has given your account {amount} to spend (`{}`). It pays before your card does, until {}.\n\nWhat is left of it: {}billing\n",
        attested.iss,
        programme.id,
        credit.expires_at.for_people(),
        realm.public_url,
    );
    advance::mail(tx, realm, &credit, "You have credit at slipway", text)?;
    Ok(credit)
}

/// What the programme is remembered by: each name of the attestation, and the mailbox of the account, which is the same at every orchestrator.
fn names(attested: &CreditAttestation, mailbox: &str) -> Vec<Sha256Digest> {
    let of_orchestrator = |name: &String| Sha256Digest::of_parts(&[b"name\0", attested.iss.as_bytes(), b"\0", name.as_bytes()]);
    let own = Sha256Digest::of_parts(&[b"subject\0", attested.iss.as_bytes(), b"\0", attested.sub.as_bytes()]);
    let mailbox = Sha256Digest::of_parts(&[b"mailbox\0", mailbox.as_bytes()]);
    let mut all: Vec<Sha256Digest> = attested.names.iter().map(of_orchestrator).collect();
    all.extend([own, mailbox]);
    all
}

/// Whether the name was put down just now, by this redemption: an attestation may name somebody twice.
fn of(tx: &mut Tx<'_>, programme: &str, name: &Sha256Digest, credit: &CreditId) -> Result<bool, DbError> {
    let select = "select 1 as one from bill_credit_name where programme = $1 and name = $2 and credit = $3";
    Ok(tx.query_opt(select, params![programme, name, credit])?.is_some())
}
