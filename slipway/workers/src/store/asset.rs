//! Uploaded asset files by the client's hash, and the sessions in which they arrive.
//!
//! INVARIANT (own-hashes): the hash is the client's word and is never checked, so it means something only to the holder and the
//! Worker under which it was uploaded, and never changes its bytes there. Nobody else's manifest is served from it.

use std::collections::BTreeMap;

use purser_db::{DbError, ToValue as _, Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::assets::Asset;
use crate::limits;
use crate::name::{ScriptName, Uuid};

/// A file as the manifest announces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    pub hash: String,
    #[serde(rename = "size")]
    pub bytes: u64,
}

pub type Manifest = BTreeMap<String, ManifestEntry>;

/// One session.
#[derive(Clone, Debug)]
pub struct SessionRow {
    pub id: Uuid,
    pub account: CloudAccountId,
    pub script: ScriptName,
    /// What the right of whoever opened it hangs on: a token.
    pub holder: String,
    /// The blob that holds the manifest.
    pub manifest: Sha256Digest,
    pub expires_at: Timestamp,
}

pub fn insert_session(tx: &mut Tx<'_>, session: &SessionRow, now: Timestamp) -> Result<(), DbError> {
    tx.execute("delete from worker_asset_session where expires_at < $1", params![now])?;
    tx.execute(
        "insert into worker_asset_session (id, account, script, holder, manifest, expires_at) values ($1, $2, $3, $4, $5, $6)",
        params![session.id, session.account, session.script, session.holder, session.manifest, session.expires_at],
    )?;
    // the newest stay: whoever begins anew gives up what was begun before
    let forget = "delete from worker_asset_session where account = $1 and id not in
                  (select id from worker_asset_session where account = $1 order by expires_at desc, id desc limit $2)";
    tx.execute(forget, params![session.account, limits::ASSET_SESSIONS]).map(drop)
}

/// The files of this scope stay for the life of a session that may name them.
pub fn touch(tx: &mut Tx<'_>, scope: &Scope, now: Timestamp) -> Result<(), DbError> {
    let update = "update worker_blob set touched_at = $4 where account = $1 and sha256 in
                  (select sha256 from worker_asset where account = $1 and script = $2 and holder = $3)";
    tx.execute(update, params![scope.account, scope.script, scope.holder, now]).map(drop)
}

/// Hashes that the account's clients have given to files.
pub fn count(tx: &mut Tx<'_>, account: &CloudAccountId) -> Result<i64, DbError> {
    tx.query_one("select count(*) as n from worker_asset where account = $1", params![account])?.get("n")
}

pub fn session(tx: &mut Tx<'_>, id: &Uuid, now: Timestamp) -> Result<Option<SessionRow>, DbError> {
    let row = tx.query_opt("select * from worker_asset_session where id = $1 and expires_at >= $2", params![id, now])?;
    row.map(|row| {
        Ok(SessionRow {
            id: row.parse("id")?,
            account: row.parse("account")?,
            script: row.parse("script")?,
            holder: row.get("holder")?,
            manifest: row.get("manifest")?,
            expires_at: row.get("expires_at")?,
        })
    })
    .transpose()
}

impl SessionRow {
    pub fn scope(&self) -> Scope {
        Scope { account: self.account.clone(), script: self.script.clone(), holder: self.holder.clone() }
    }
}

/// Hashes that one statement asks for: a manifest has thousands, and a statement each would be a round trip each.
const AT_ONCE: usize = 16;

/// Under whom a hash means something.
#[derive(Clone, Debug)]
pub struct Scope {
    pub account: CloudAccountId,
    pub script: ScriptName,
    pub holder: String,
}

/// The files of these hashes that were uploaded in this scope.
pub fn known<'a>(tx: &mut Tx<'_>, scope: &Scope, hashes: impl IntoIterator<Item = &'a str>) -> Result<BTreeMap<String, Asset>, DbError> {
    const SQL: &str = "select hash, sha256, bytes, content_type from worker_asset where account = $1 and script = $2 and holder = $3
        and hash in ($4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";
    let hashes: Vec<&str> = hashes.into_iter().collect();
    let mut found = BTreeMap::new();
    for some in hashes.chunks(AT_ONCE) {
        let mut values = vec![scope.account.to_value(), scope.script.to_value(), scope.holder.to_value()];
        values.extend((0..AT_ONCE).map(|i| some.get(i).copied().unwrap_or_default().to_value()));
        for row in tx.query(SQL, &values)? {
            let bytes = u64::try_from(row.get::<i64>("bytes")?).map_err(|_| DbError::Corrupt("column `bytes` is negative".into()))?;
            found.insert(row.get("hash")?, Asset { sha256: row.get("sha256")?, bytes, content_type: row.get("content_type")? });
        }
    }
    Ok(found)
}

/// False when the hash already stands for other bytes.
pub fn put(tx: &mut Tx<'_>, scope: &Scope, hash: &str, asset: &Asset) -> Result<bool, DbError> {
    let upsert = "insert into worker_asset (account, script, holder, hash, sha256, bytes, content_type) values ($1, $2, $3, $4, $5, $6, $7)
                  on conflict (account, script, holder, hash) do update set content_type = excluded.content_type
                  where worker_asset.sha256 = excluded.sha256";
    let bytes = i64::try_from(asset.bytes).unwrap_or(i64::MAX);
    let values = params![scope.account, scope.script, scope.holder, hash, asset.sha256, bytes, asset.content_type];
    Ok(tx.execute(upsert, values)? == 1)
}
