//! Listing objects in the order of their names' bytes, with names that share a part up to a delimiter told once.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use purser_db::{Tx, params};
use purser_values::id::CloudAccountId;

use super::{Object, bucket, object};
use crate::error::StoreError;
use crate::kv::list::range;
use crate::limits;
use crate::stores::Stores;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    pub prefix: String,
    pub delimiter: Option<String>,
    pub cursor: Option<String>,
    pub start_after: Option<String>,
    pub limit: Option<usize>,
}

/// One page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub objects: Vec<Object>,
    pub delimited: Vec<String>,
    /// Where the next page begins; nothing on the last.
    pub cursor: Option<String>,
}

impl Stores {
    /// # Errors
    /// When the account has no such bucket, or what is asked for is no page.
    pub async fn r2_list(&self, account: &CloudAccountId, bucket: &str, query: Query) -> Result<Page, StoreError> {
        let limit = query.limit.unwrap_or(limits::R2_LIST);
        if limit == 0 || limit > limits::R2_LIST {
            return Err(StoreError::Refused(10_022, "MaxKeys params must be positive integer <= 1000.".to_owned()));
        }
        let (start, end) = range(query.prefix.as_bytes());
        let after = query.start_after.as_ref().map(|after| [after.as_bytes(), &[0]].concat());
        let cursor = query.cursor.as_ref().map(|c| URL_SAFE_NO_PAD.decode(c)).transpose();
        let cursor = cursor.map_err(|_| StoreError::Invalid("the cursor is not one of ours; begin without it".to_owned()))?;
        let from = [Some(start), after, cursor].into_iter().flatten().max().unwrap_or_default();
        let delimiter = query.delimiter.filter(|d| !d.is_empty());
        let (account, bucket, prefix) = (account.clone(), bucket.to_owned(), query.prefix);
        self.look(move |tx| {
            let bucket = bucket::find(tx, &account, &bucket)?.id;
            let mut walk = Walk { tx, bucket, from, end, page: Page::default() };
            walk.run(&prefix, delimiter.as_deref(), limit)?;
            Ok(walk.page)
        })
        .await
    }
}

struct Walk<'a, 'c> {
    tx: &'a mut Tx<'c>,
    bucket: String,
    /// The first name that was not looked at.
    from: Vec<u8>,
    end: Vec<u8>,
    page: Page,
}

impl Walk<'_, '_> {
    fn run(&mut self, prefix: &str, delimiter: Option<&str>, limit: usize) -> Result<(), StoreError> {
        // After a group the next name is sought beyond it: what else is in the group is not read. Where no group is near, more is read at once.
        let mut some = if delimiter.is_some() { 1 } else { limit + 1 };
        loop {
            let rows = self.rows(some)?;
            if rows.is_empty() {
                return Ok(());
            }
            some = some.saturating_mul(2).min(limit + 1);
            for object in rows {
                if self.page.objects.len() + self.page.delimited.len() == limit {
                    self.page.cursor = Some(URL_SAFE_NO_PAD.encode(&self.from));
                    return Ok(());
                }
                let rest = object.name.get(prefix.len()..).unwrap_or_default();
                match delimiter.and_then(|d| rest.find(d).map(|at| prefix.len() + at + d.len())) {
                    Some(cut) => {
                        let group = object.name[..cut].to_owned();
                        self.from = range(group.as_bytes()).1;
                        self.page.delimited.push(group);
                        some = 1;
                        break;
                    }
                    None => {
                        self.from = [object.name.as_bytes(), &[0]].concat();
                        self.page.objects.push(object);
                    }
                }
            }
        }
    }

    fn rows(&mut self, most: usize) -> Result<Vec<Object>, StoreError> {
        let select = "select * from r2_object where bucket = $1 and name >= $2 and name < $3 order by name limit $4";
        let most = i64::try_from(most).map_err(StoreError::internal)?;
        let rows = self.tx.query(select, params![self.bucket, self.from, self.end, most])?;
        Ok(rows.iter().map(object).collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;

    use purser_db::testing::{START, sqlite};
    use purser_values::Env;

    use super::*;
    use crate::body::Incoming;
    use crate::stores::StoresConfig;

    #[tokio::test]
    async fn pages_of_groups_are_what_all_names_say_whatever_their_length() {
        let (folder, db, env) = (tempfile::tempdir().unwrap(), sqlite(&[crate::store::MIGRATIONS]).await, Env::test(START, 5).0);
        let stores = Stores::open(&StoresConfig { data: folder.path().to_owned(), s3: None }, db, env.clone()).unwrap();
        let account = CloudAccountId::mint(&env);
        stores.r2_bucket_create(&account, "b".repeat(3), None, None).await.unwrap();
        let mut names = BTreeSet::new();
        for group in ["a/", "b/c/", "b/d", "e", "é/", "z"] {
            names.extend((0..7).map(|n| format!("p/{group}{n}")));
            names.insert(format!("p/{group}"));
        }
        for name in &names {
            let value = Incoming::of(bytes::Bytes::from_static(b"x"));
            stores.r2_put(&account, "bbb", name, crate::r2::put::Options::default(), value).await.unwrap();
        }
        let cut = |name: &str| name[2..].find('/').map(|at| name[..at + 3].to_owned());
        let groups: Vec<String> = names.iter().filter_map(|name| cut(name)).collect::<BTreeSet<_>>().into_iter().collect();
        let single: Vec<&String> = names.iter().filter(|name| cut(name).is_none()).collect();
        for limit in [1, 2, 3, 5, 1_000] {
            let (mut objects, mut delimited, mut cursor) = (Vec::new(), Vec::new(), None);
            loop {
                let query = Query {
                    prefix: "p/".into(),
                    delimiter: Some("/".into()),
                    cursor: cursor.take(),
                    start_after: None,
                    limit: Some(limit),
                };
                let page = stores.r2_list(&account, "bbb", query).await.unwrap();
                assert!(page.objects.len() + page.delimited.len() <= limit);
                objects.extend(page.objects.into_iter().map(|object| object.name));
                delimited.extend(page.delimited);
                cursor = page.cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!((objects.iter().collect::<Vec<_>>(), &delimited), (single.clone(), &groups), "pages of {limit}");
        }
    }
}
