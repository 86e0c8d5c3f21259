//! What the SDK must remember, in our database.

use purser_db::{Db, DbError, Tx};
use purser_provider::store::{Access, Begun, CodeRecord, Exchange, KeptAnswer, PairRecord, Store, StoreError};
use purser_values::{Sha256Digest, Timestamp};
use purser_wire::control::ControlOrder;
use purser_wire::id::{AccountId, LinkId, ParseWireIdError};
use slipway_accounts::link::get::{link_used, use_is_stale};
use slipway_accounts::provisioning::answer::{self, answer_begin, answer_finish};
use slipway_accounts::provisioning::code::{Code, code_exchange, code_find, code_put};
use slipway_accounts::provisioning::control::control_begin;
use slipway_accounts::provisioning::nonce::nonce_use;
use slipway_accounts::provisioning::pair::{self, Pair, access_find, pair_put, pair_rotate};

type Stored<T> = Result<T, StoreError>;

/// The SDK's store over the database.
#[derive(Clone, Debug)]
pub struct DbStore(pub Db);

impl DbStore {
    async fn write<T: Send + 'static>(&self, work: impl Fn(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static) -> Stored<T> {
        self.0.write(work).await.map_err(StoreError::new)
    }

    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&mut Tx<'_>) -> Result<T, DbError> + Send + 'static) -> Stored<T> {
        self.0.read(work).await.map_err(StoreError::new)
    }
}

impl Store for DbStore {
    async fn nonce_use(&self, nonce: Sha256Digest, expires_at: Timestamp, now: Timestamp) -> Stored<bool> {
        self.write(move |tx| nonce_use(tx, &nonce, expires_at, now)).await
    }

    async fn code_put(&self, code: Sha256Digest, record: CodeRecord) -> Stored<()> {
        let record = code_of(record);
        self.write(move |tx| code_put(tx, &code, &record)).await
    }

    async fn code_find(&self, code: Sha256Digest) -> Stored<Option<CodeRecord>> {
        let Some(found) = self.read(move |tx| code_find(tx, &code)).await? else { return Ok(None) };
        let request = found.request.map(|r| r.parse()).transpose().map_err(|e: ParseWireIdError| StoreError::new(e))?;
        let link = found.link.map(|l| l.parse()).transpose().map_err(|e: ParseWireIdError| StoreError::new(e))?;
        Ok(Some(CodeRecord { account: account(&found.account)?, request, challenge: found.challenge, link, expires_at: found.expires_at }))
    }

    async fn code_exchange(&self, code: Sha256Digest, pair: PairRecord, now: Timestamp) -> Stored<Exchange> {
        let pair = ours(pair);
        let done = self.write(move |tx| code_exchange(tx, &code, &pair, now)).await?;
        done.map_or(Ok(Exchange::Refused), |access| theirs(access).map(Exchange::Done))
    }

    async fn pair_put(&self, account: AccountId, link: Option<LinkId>, pair: PairRecord) -> Stored<()> {
        let pair = ours(pair);
        self.write(move |tx| pair_put(tx, account.as_str(), link.as_ref().map(LinkId::as_str), &pair, None)).await
    }

    async fn pair_rotate(&self, refresh: Sha256Digest, pair: PairRecord, now: Timestamp) -> Stored<Option<Access>> {
        let pair = ours(pair);
        let found = self.write(move |tx| pair_rotate(tx, &refresh, &pair, now)).await?;
        found.map(theirs).transpose()
    }

    async fn access_find(&self, access: Sha256Digest, now: Timestamp) -> Stored<Option<Access>> {
        let Some(found) = self.read(move |tx| access_find(tx, &access, now)).await? else { return Ok(None) };
        if let Some(link) = found.link.clone().filter(|_| use_is_stale(found.used_at, now)) {
            self.write(move |tx| link_used(tx, &link, now)).await?;
        }
        theirs(found).map(Some)
    }

    async fn answer_begin(&self, scope: AccountId, key: String, request: Sha256Digest, now: Timestamp) -> Stored<Begun> {
        let begun = self.write(move |tx| answer_begin(tx, scope.as_str(), &key, &request, now)).await?;
        Ok(match begun {
            answer::Begun::New => Begun::New,
            answer::Begun::Unfinished => Begun::Unfinished,
            answer::Begun::Conflict => Begun::Conflict,
            answer::Begun::Finished { status, sealed } => Begun::Finished(KeptAnswer { status, sealed }),
        })
    }

    async fn answer_finish(&self, scope: AccountId, key: String, answer: KeptAnswer) -> Stored<()> {
        self.write(move |tx| answer_finish(tx, scope.as_str(), &key, answer.status, &answer.sealed)).await
    }

    async fn control_begin(&self, account: AccountId, subject: String, order: ControlOrder) -> Stored<Option<ControlOrder>> {
        let order = i64::try_from(order.get()).map_err(StoreError::new)?;
        let later = self.write(move |tx| control_begin(tx, account.as_str(), &subject, order)).await?;
        let theirs = |number: i64| ControlOrder::try_from(u64::try_from(number).unwrap_or_default()).map_err(StoreError::new);
        later.map(theirs).transpose()
    }
}

/// A code as our tables have it.
pub fn code_of(record: CodeRecord) -> Code {
    Code {
        account: record.account.into(),
        request: record.request.map(String::from),
        challenge: record.challenge,
        link: record.link.map(String::from),
        expires_at: record.expires_at,
    }
}

fn theirs(access: pair::Access) -> Stored<Access> {
    let link = access.link.map(|link| link.parse()).transpose().map_err(|e: ParseWireIdError| StoreError::new(e))?;
    Ok(Access { account: account(&access.account)?, link, scopes: access.scopes.map(|scopes| scopes.names()) })
}

fn ours(pair: PairRecord) -> Pair {
    Pair {
        access: pair.access,
        refresh: pair.refresh,
        access_expires_at: pair.access_expires_at,
        refresh_expires_at: pair.refresh_expires_at,
    }
}

fn account(text: &str) -> Stored<AccountId> {
    text.parse().map_err(|e: ParseWireIdError| StoreError::new(e))
}
