//! The numbers of controls: which is the highest that was seen, for each agent in an account and for each account.

use purser_db::{DbError, Tx, params};

pub(crate) const TABLE: &str = "create table provisioning_control (
    account {text} not null, subject {text} not null, highest {int} not null,
    primary key (account, subject)
){strict}";

/// INVARIANT (control-order): notes the number, unless a higher one was noted, which is then the answer. An equal one is a repeat.
///
/// # Errors
/// When the store fails.
pub fn control_begin(tx: &mut Tx<'_>, account: &str, subject: &str, order: i64) -> Result<Option<i64>, DbError> {
    let upsert = "insert into provisioning_control (account, subject, highest) values ($1, $2, $3)
                  on conflict (account, subject) do update set highest = $3 where provisioning_control.highest <= $3";
    if tx.execute(upsert, params![account, subject, order])? == 1 {
        return Ok(None);
    }
    let select = "select highest from provisioning_control where account = $1 and subject = $2";
    tx.query_one(select, params![account, subject])?.get("highest").map(Some)
}

#[cfg(test)]
mod tests {
    use purser_db::testing::each_engine;

    use super::*;
    use crate::store::MIGRATIONS;

    #[tokio::test]
    async fn a_lower_number_is_told_the_highest_and_an_equal_one_counts() {
        each_engine(&[MIGRATIONS], |db| async move {
            let begin = |subject: &'static str, order: i64| {
                let db = db.clone();
                async move { db.write::<_, DbError, _>(move |tx| control_begin(tx, "acc", subject, order)).await.unwrap() }
            };
            assert_eq!(begin("agt_1", 5).await, None);
            assert_eq!(begin("agt_1", 4).await, Some(5));
            assert_eq!(begin("agt_1", 5).await, None);
            assert_eq!(begin("agt_1", 9).await, None);
            assert_eq!(begin("", 4).await, None, "the account has numbers of its own");
        })
        .await;
    }
}
