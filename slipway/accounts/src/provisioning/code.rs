//! Authorization codes: single use; the second use ends what the first one bought.

use purser_db::{DbError, Tx, params};
use purser_values::{Sha256Digest, Timestamp};

use super::pair::{Access, Pair, access_find, pair_put};
use crate::link::activate::link_activate;

/// A code that waits for its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    pub account: String,
    pub request: Option<String>,
    pub challenge: Option<String>,
    pub link: Option<String>,
    pub expires_at: Timestamp,
}

/// # Errors
/// When the store fails.
pub fn code_put(tx: &mut Tx<'_>, code: &Sha256Digest, record: &Code) -> Result<(), DbError> {
    let insert = "insert into provisioning_code (code, account, request, challenge, expires_at, link) values ($1, $2, $3, $4, $5, $6)";
    tx.execute(insert, params![code, record.account, record.request, record.challenge, record.expires_at, record.link]).map(drop)
}

/// # Errors
/// When the store fails.
pub fn code_find(tx: &mut Tx<'_>, code: &Sha256Digest) -> Result<Option<Code>, DbError> {
    let Some(row) = tx.query_opt("select * from provisioning_code where code = $1", params![code])? else { return Ok(None) };
    Ok(Some(Code {
        account: row.get("account")?,
        request: row.get("request")?,
        challenge: row.get("challenge")?,
        link: row.get("link")?,
        expires_at: row.get("expires_at")?,
    }))
}

/// INVARIANT (code-once): one caller gets the pair and learns what it opens; its link is active from now on. A second use of a code ends
/// every pair that came of it.
///
/// # Errors
/// When the store fails.
pub fn code_exchange(tx: &mut Tx<'_>, code: &Sha256Digest, pair: &Pair, now: Timestamp) -> Result<Option<Access>, DbError> {
    let Some(found) = code_find(tx, code)? else { return Ok(None) };
    let used = "update provisioning_code set used_at = $2 where code = $1 and used_at is null and expires_at > $2";
    if tx.execute(used, params![code, now])? == 1 {
        if let Some(link) = &found.link
            && !link_activate(tx, link, now)?
        {
            return Ok(None);
        }
        pair_put(tx, &found.account, found.link.as_deref(), pair, Some(code))?;
        return access_find(tx, &pair.access, now);
    }
    tx.execute("delete from provisioning_pair where family = $1", params![code])?;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provisioning::pair::pair_rotate;
    use crate::store::MIGRATIONS;
    use purser_db::testing::{START, each_engine};

    fn digest(text: &str) -> Sha256Digest {
        Sha256Digest::of(text.as_bytes())
    }

    fn pair(name: &str) -> Pair {
        Pair {
            access: digest(&format!("{name}/a")),
            refresh: digest(&format!("{name}/r")),
            access_expires_at: START.plus_secs(60),
            refresh_expires_at: START.plus_secs(600),
        }
    }

    #[tokio::test]
    async fn a_code_used_twice_ends_what_it_bought_refreshed_or_not() {
        each_engine(&[MIGRATIONS], |db| async move {
            db.write(|tx| -> Result<(), DbError> {
                let code = Code { account: "sac_1".into(), request: None, challenge: None, link: None, expires_at: START.plus_secs(300) };
                code_put(tx, &digest("c"), &code)?;
                assert_eq!(code_find(tx, &digest("c"))?, Some(code));
                assert!(code_exchange(tx, &digest("c"), &pair("late"), START.plus_secs(300))?.is_none(), "a late use was taken");
                assert!(code_exchange(tx, &digest("c"), &pair("1"), START)?.is_some());
                let opens = |access: Option<Access>| access.map(|access| access.account);
                assert_eq!(opens(access_find(tx, &pair("1").access, START)?).as_deref(), Some("sac_1"));
                assert_eq!(access_find(tx, &pair("1").access, START.plus_secs(60))?, None);

                assert_eq!(opens(pair_rotate(tx, &pair("1").refresh, &pair("2"), START)?).as_deref(), Some("sac_1"));
                assert_eq!(pair_rotate(tx, &pair("1").refresh, &pair("3"), START)?, None, "an old refresh token was taken");
                assert_eq!(access_find(tx, &pair("1").access, START)?, None, "an old access token was taken");
                assert!(access_find(tx, &pair("2").access, START)?.is_some());

                assert!(code_exchange(tx, &digest("c"), &pair("4"), START)?.is_none());
                assert_eq!(access_find(tx, &pair("2").access, START)?, None);
                Ok(())
            })
            .await
            .unwrap();
        })
        .await;
    }
}
