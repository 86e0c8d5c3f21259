//! What an account request waits for: one row for each account that is being asked for, with the secrets of that attempt, sealed.
//!
//! INVARIANT (one-answer): the state of a callback and the code that it brought are taken by one conditional update each, so that
//! whoever comes second, in this process or another, finds them gone.

use std::str::FromStr;

use purser_crypto::encoding::b64url;
use purser_crypto::seal::Keyring;
use purser_db::{DbError, Row, Tx, params};
use purser_flow::Failure;
use purser_values::id::{AccountId, OrganisationId, PersonId};
use purser_values::name::ProviderName;
use purser_values::{Env, Secret, Sha256Digest, Timestamp};
use serde_json::{Map, Value};

pub const TABLE: &str = "create table account_link (
    account {text} primary key, attempt {text} not null, organisation {text} not null, provider {text} not null,
    request {text} not null, person {text} not null, status {text} not null, state {text}, issuer {text}, schema {text}, failure {text},
    secret {blob} not null, verifier {blob} not null, url {blob}, code {blob}, information {blob},
    begun_at {int} not null, expires_at {int} not null, unique (state), unique (request)
){strict}";

/// Where an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The provider is being asked.
    Asking,
    /// The provider gets to know us first, and is asked again.
    Registering,
    /// A person has to act at the provider.
    Waiting,
    /// Somebody has to say what the provider wants to know.
    Information,
    /// The person's browser brought a code.
    Returned,
    /// The code is on its way to the provider. After a crash nobody knows what came of it, and it is not sent again.
    Redeeming,
    /// The provider says that the person agreed; it is asked again.
    Confirmed,
    /// It came to nothing; the failure says why.
    Over,
}

impl Status {
    const ALL: [Self; 8] =
        [Self::Asking, Self::Registering, Self::Waiting, Self::Information, Self::Returned, Self::Redeeming, Self::Confirmed, Self::Over];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Asking => "asking",
            Self::Registering => "registering",
            Self::Waiting => "waiting",
            Self::Information => "information",
            Self::Returned => "returned",
            Self::Redeeming => "redeeming",
            Self::Confirmed => "confirmed",
            Self::Over => "over",
        }
    }
}

impl FromStr for Status {
    type Err = ();
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.name() == s).ok_or(())
    }
}

/// One attempt to get an account.
#[derive(Clone, Debug)]
pub struct Link {
    pub account: AccountId,
    /// Which attempt this is; the next one has another.
    pub attempt: String,
    pub organisation: OrganisationId,
    pub provider: ProviderName,
    /// The id that the provider knows the request under.
    pub request: String,
    /// Who is asked, and who alone may answer.
    pub person: PersonId,
    pub status: Status,
    /// The `iss` that the callback must name, where the provider promises one.
    pub issuer: Option<String>,
    pub schema: Option<Value>,
    pub failure: Option<Failure>,
    pub expires_at: Timestamp,
    sealed: Sealed,
}

#[derive(Clone, Debug)]
struct Sealed {
    secret: Vec<u8>,
    verifier: Vec<u8>,
    url: Option<Vec<u8>>,
    code: Option<Vec<u8>>,
    information: Option<Vec<u8>>,
}

/// Seals and opens what one attempt keeps; the names keep the parts apart.
#[derive(Clone, Copy, Debug)]
pub struct Seals<'a> {
    pub env: &'a Env,
    pub keyring: &'a Keyring,
}

impl Seals<'_> {
    fn seal(&self, account: &AccountId, what: &str, text: &str) -> Result<Vec<u8>, DbError> {
        self.keyring.seal(self.env, &aad(account, what), text.as_bytes()).map_err(|e| DbError::Other(e.to_string()))
    }

    fn open(&self, account: &AccountId, what: &str, sealed: &[u8]) -> Result<Secret<String>, DbError> {
        self.keyring.open_text(&aad(account, what), sealed).map_err(|e| DbError::Corrupt(e.to_string()))
    }
}

fn aad(account: &AccountId, what: &str) -> String {
    format!("account_link/{account}/{what}")
}

/// Who is asked for what.
#[derive(Clone, Debug)]
pub struct Begin<'a> {
    pub account: &'a AccountId,
    pub organisation: &'a OrganisationId,
    pub provider: &'a ProviderName,
    pub request: &'a str,
    pub person: &'a PersonId,
    pub verifier: &'a Secret<String>,
    pub expires_at: Timestamp,
}

/// A fresh attempt in the place of whatever there was: the secrets of the one before are gone.
pub fn begin(tx: &mut Tx<'_>, seals: Seals<'_>, begin: &Begin<'_>) -> Result<Link, DbError> {
    let secret = b64url(&seals.env.bytes::<32>());
    let upsert = "insert into account_link (account, attempt, organisation, provider, request, person, status, secret, verifier, begun_at,
                      expires_at)
                  values ($1, $2, $3, $4, $5, $6, 'asking', $7, $8, $9, $10)
                  on conflict (account) do update set attempt = excluded.attempt, person = excluded.person, status = 'asking', state = null,
                      issuer = null, schema = null, failure = null, secret = excluded.secret, verifier = excluded.verifier, url = null,
                      code = null, information = null, begun_at = excluded.begun_at, expires_at = excluded.expires_at";
    let (secret, verifier) =
        (seals.seal(begin.account, "secret", &secret)?, seals.seal(begin.account, "verifier", begin.verifier.expose())?);
    let attempt = b64url(&seals.env.bytes::<12>());
    tx.execute(
        upsert,
        params![
            begin.account,
            attempt,
            begin.organisation,
            begin.provider,
            begin.request,
            begin.person,
            secret,
            verifier,
            seals.env.now(),
            begin.expires_at
        ],
    )?;
    find(tx, begin.account)?.ok_or(DbError::NoRow)
}

pub fn find(tx: &mut Tx<'_>, account: &AccountId) -> Result<Option<Link>, DbError> {
    tx.query_opt("select * from account_link where account = $1", params![account])?.map(|row| read(&row)).transpose()
}

pub fn by_request(tx: &mut Tx<'_>, request: &str) -> Result<Option<Link>, DbError> {
    tx.query_opt("select * from account_link where request = $1", params![request])?.map(|row| read(&row)).transpose()
}

/// The attempt that a callback's state belongs to. Only its digest is kept and looked for.
pub fn by_state(tx: &mut Tx<'_>, state: &str) -> Result<Option<Link>, DbError> {
    tx.query_opt("select * from account_link where state = $1", params![digest(state)])?.map(|row| read(&row)).transpose()
}

fn digest(state: &str) -> String {
    Sha256Digest::of(state.as_bytes()).to_string()
}

/// A page for the person.
pub fn waits(tx: &mut Tx<'_>, seals: Seals<'_>, link: &Link, url: &str, state: &str, issuer: Option<&str>) -> Result<(), DbError> {
    let url = seals.seal(&link.account, "url", url)?;
    let update = "update account_link set status = 'waiting', url = $3, state = $4, issuer = $5 where account = $1 and attempt = $2";
    tx.execute(update, params![link.account, link.attempt, url, digest(state), issuer]).map(drop)
}

/// A question for whoever can answer it.
pub fn wants(tx: &mut Tx<'_>, link: &Link, schema: &Value) -> Result<(), DbError> {
    let update = "update account_link set status = 'information', schema = $3 where account = $1 and attempt = $2";
    tx.execute(update, params![link.account, link.attempt, schema.to_string()]).map(drop)
}

/// What was answered; the provider is asked again. False when nothing was wanted.
pub fn informed(tx: &mut Tx<'_>, seals: Seals<'_>, link: &Link, information: &Map<String, Value>) -> Result<bool, DbError> {
    let text = serde_json::to_string(information).map_err(|e| DbError::Other(e.to_string()))?;
    let sealed = seals.seal(&link.account, "information", &text)?;
    let update =
        "update account_link set status = 'asking', information = $3 where account = $1 and attempt = $2 and status = 'information'";
    Ok(tx.execute(update, params![link.account, link.attempt, sealed])? == 1)
}

/// The code that the person's browser brought; the state is used up. False when somebody was here before.
pub fn returned(tx: &mut Tx<'_>, seals: Seals<'_>, link: &Link, code: &Secret<String>) -> Result<bool, DbError> {
    let sealed = seals.seal(&link.account, "code", code.expose())?;
    let update = "update account_link set status = 'returned', code = $3, state = null, url = null
                  where account = $1 and attempt = $2 and status = 'waiting' and state is not null";
    Ok(tx.execute(update, params![link.account, link.attempt, sealed])? == 1)
}

/// Moves on from one status to another. False when it is not there any more.
pub fn moved(tx: &mut Tx<'_>, link: &Link, from: Status, to: Status) -> Result<bool, DbError> {
    let update = "update account_link set status = $4, state = null where account = $1 and attempt = $2 and status = $3";
    Ok(tx.execute(update, params![link.account, link.attempt, from.name(), to.name()])? == 1)
}

/// It came to nothing: whoever waits for this attempt is told why, and every secret of it is gone. False when it was over before.
pub fn over(tx: &mut Tx<'_>, link: &Link, failure: &Failure) -> Result<bool, DbError> {
    let text = serde_json::to_string(failure).map_err(|e| DbError::Other(e.to_string()))?;
    let update = "update account_link set status = 'over', failure = $3, state = null, url = null, code = null, information = null
                  where account = $1 and attempt = $2 and status <> 'over'";
    Ok(tx.execute(update, params![link.account, link.attempt, text])? == 1)
}

/// The account is there.
pub fn done(tx: &mut Tx<'_>, account: &AccountId) -> Result<(), DbError> {
    tx.execute("delete from account_link where account = $1", params![account]).map(drop)
}

impl Link {
    pub fn secret(&self, seals: Seals<'_>) -> Result<Secret<String>, DbError> {
        seals.open(&self.account, "secret", &self.sealed.secret)
    }

    pub fn verifier(&self, seals: Seals<'_>) -> Result<Secret<String>, DbError> {
        seals.open(&self.account, "verifier", &self.sealed.verifier)
    }

    /// The provider's page, while it is waited for.
    pub fn url(&self, seals: Seals<'_>) -> Result<Option<Secret<String>>, DbError> {
        self.sealed.url.as_deref().map(|sealed| seals.open(&self.account, "url", sealed)).transpose()
    }

    pub fn code(&self, seals: Seals<'_>) -> Result<Option<Secret<String>>, DbError> {
        self.sealed.code.as_deref().map(|sealed| seals.open(&self.account, "code", sealed)).transpose()
    }

    pub fn information(&self, seals: Seals<'_>) -> Result<Option<Map<String, Value>>, DbError> {
        let Some(sealed) = &self.sealed.information else { return Ok(None) };
        let text = seals.open(&self.account, "information", sealed)?;
        serde_json::from_str(text.expose()).map(Some).map_err(|e| DbError::Corrupt(e.to_string()))
    }

    #[must_use]
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }
}

fn read(row: &Row) -> Result<Link, DbError> {
    let (failure, schema): (Option<String>, Option<String>) = (row.get("failure")?, row.get("schema")?);
    let unreadable = |e: serde_json::Error| DbError::Corrupt(e.to_string());
    Ok(Link {
        account: row.parse("account")?,
        attempt: row.get("attempt")?,
        organisation: row.parse("organisation")?,
        provider: row.parse("provider")?,
        request: row.get("request")?,
        person: row.parse("person")?,
        status: row.parse("status")?,
        issuer: row.get("issuer")?,
        schema: schema.map(|text| serde_json::from_str(&text)).transpose().map_err(unreadable)?,
        failure: failure.map(|text| serde_json::from_str(&text)).transpose().map_err(unreadable)?,
        expires_at: row.get("expires_at")?,
        sealed: Sealed {
            secret: row.get("secret")?,
            verifier: row.get("verifier")?,
            url: row.get("url")?,
            code: row.get("code")?,
            information: row.get("information")?,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MIGRATIONS;
    use purser_values::id::OrganisationId;

    #[tokio::test]
    async fn a_state_and_a_code_are_taken_once_and_a_new_attempt_forgets_both() {
        purser_db::testing::each_engine(&[MIGRATIONS], |db| async move {
            db.write(move |tx| {
                let (env, _) = Env::test(purser_db::testing::START, 3);
                let keyring = Keyring::from_bytes(&Secret::new([7; 32])).map_err(|e| DbError::Other(e.to_string()))?;
                let seals = Seals { env: &env, keyring: &keyring };
                let (account, organisation, person) = (AccountId::mint(&env), OrganisationId::mint(&env), PersonId::mint(&env));
                let (provider, verifier) = ("p".parse().unwrap(), Secret::new("v".to_owned()));
                let ask = Begin {
                    account: &account,
                    organisation: &organisation,
                    provider: &provider,
                    request: "arq_1",
                    person: &person,
                    verifier: &verifier,
                    expires_at: env.now().plus_secs(600),
                };
                let first = begin(tx, seals, &ask)?;
                waits(tx, seals, &first, "https://p.example/", "state", None)?;
                let found = by_state(tx, "state")?.unwrap();
                assert_eq!((found.status, found.url(seals)?.unwrap().expose().as_str()), (Status::Waiting, "https://p.example/"));
                assert!(by_state(tx, "stat")?.is_none());
                assert!(returned(tx, seals, &found, &Secret::new("code".to_owned()))?);
                assert!(!returned(tx, seals, &found, &Secret::new("another".to_owned()))?, "a state was good twice");
                assert!(by_state(tx, "state")?.is_none());
                assert!(moved(tx, &found, Status::Returned, Status::Redeeming)?);
                assert!(!moved(tx, &found, Status::Returned, Status::Redeeming)?, "a code went out twice");
                assert_eq!(find(tx, &account)?.unwrap().code(seals)?.unwrap().expose(), "code");

                let second = begin(tx, seals, &ask)?;
                assert_ne!(first.attempt, second.attempt);
                assert_ne!(first.secret(seals)?.expose(), second.secret(seals)?.expose());
                assert!(second.code(seals)?.is_none() && second.url(seals)?.is_none());
                assert!(!over(tx, &first, &crate::fault::failure("x", purser_values::error::Kind::Conflict, "x", None))?);
                Ok::<_, DbError>(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
