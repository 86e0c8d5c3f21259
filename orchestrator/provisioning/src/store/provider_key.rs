//! Which provider a signing key belongs to: the one that showed it first.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;
use purser_values::name::ProviderName;

/// Keeps the key for the provider unless it has an owner, and tells the owner.
pub fn pin(tx: &mut Tx<'_>, thumbprint: &str, provider: &ProviderName, now: Timestamp) -> Result<ProviderName, DbError> {
    let insert = "insert into provider_key (thumbprint, provider, seen_at) values ($1, $2, $3) on conflict (thumbprint) do nothing";
    tx.execute(insert, params![thumbprint, provider, now])?;
    tx.query_one("select provider from provider_key where thumbprint = $1", params![thumbprint])?.parse("provider")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MIGRATIONS;

    #[tokio::test]
    async fn a_key_stays_with_the_provider_that_showed_it_first() {
        purser_db::testing::each_engine(&[MIGRATIONS], |db| async move {
            let (first, second): (ProviderName, ProviderName) = ("first".parse().unwrap(), "second".parse().unwrap());
            db.write(move |tx| {
                let now = purser_db::testing::START;
                assert_eq!(pin(tx, "thumb", &first, now)?, first);
                assert_eq!(pin(tx, "thumb", &second, now)?, first);
                assert_eq!(pin(tx, "thumb", &first, now.plus_secs(1))?, first);
                assert_eq!(pin(tx, "other", &second, now)?, second);
                Ok::<_, DbError>(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
