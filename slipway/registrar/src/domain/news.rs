//! What happened to domains that their owners have not been told of, and registrations that are over and not cleared away: both are
//! kept until the caller has done what follows, so that a crash forgets neither.

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::id::DomainId;

use super::Domain;
use crate::store;

/// The most that one run takes up.
const BATCH: u32 = 100;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It ran out and is taken out of the world; it can still be renewed.
    Expired,
    /// The registry deleted it because nobody renewed it; for a while nobody else gets it.
    Redemption,
    /// It was renewed after it had run out, and is back.
    Back,
    /// Another registrar asks for it.
    TransferAsked,
}

impl News {
    const ALL: [Self; 4] = [Self::Expired, Self::Redemption, Self::Back, Self::TransferAsked];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Redemption => "redemption",
            Self::Back => "back",
            Self::TransferAsked => "transfer_asked",
        }
    }
}

/// News with the domain that they are of.
#[derive(Clone, Debug)]
pub struct Item {
    pub id: i64,
    pub news: News,
    pub domain: Domain,
}

pub(crate) fn add(tx: &mut Tx<'_>, domain: &DomainId, news: News, now: Timestamp) -> Result<(), DbError> {
    tx.execute(
        "insert into domain_news (id, domain, kind, created_at, told)
         values ((select coalesce(max(id), 0) + 1 from domain_news), $1, $2, $3, 0)",
        params![domain, news.as_str(), now],
    )
    .map(drop)
}

/// What owners are to be told, oldest first.
///
/// # Errors
/// When the store fails.
pub fn news_open(tx: &mut Tx<'_>) -> Result<Vec<Item>, DbError> {
    let select = "select n.id as news_id, n.kind, d.* from domain_news n join domain d on d.id = n.domain
                  where n.told = 0 order by n.id limit $1";
    let read = |row: &Row| -> Result<Item, DbError> {
        let kind: String = row.get("kind")?;
        let news = News::ALL.into_iter().find(|it| it.as_str() == kind);
        let news = news.ok_or_else(|| DbError::Corrupt(format!("`{kind}` is no news of a domain")))?;
        Ok(Item { id: row.get("news_id")?, news, domain: store::read(row)? })
    };
    tx.query(select, params![BATCH])?.iter().map(read).collect()
}

/// Marks news as told, in the write that tells them. Whether they were still to be told.
///
/// # Errors
/// When the store fails.
pub fn news_told(tx: &mut Tx<'_>, item: &Item) -> Result<bool, DbError> {
    Ok(tx.execute("update domain_news set told = 1 where id = $1 and told = 0", params![item.id])? == 1)
}

/// Registrations that are over, and whose sites, zones and orders are not cleared away yet.
///
/// # Errors
/// When the store fails.
pub fn domain_ending(tx: &mut Tx<'_>) -> Result<Vec<Domain>, DbError> {
    store::ending(tx, BATCH)
}

/// Frees a name, in the write that clears away what stood on it. Whether it was still to be freed.
///
/// # Errors
/// When the store fails.
pub fn domain_cleared(tx: &mut Tx<'_>, domain: &DomainId) -> Result<bool, DbError> {
    store::cleared(tx, domain)
}
