//! Uploaded asset files by the client's hash, per account, and the sessions in which they arrive.

use std::collections::BTreeMap;

use purser_db::{DbError, ToValue as _, Tx, params};
use purser_values::id::CloudAccountId;
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::assets::Asset;
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
    /// The blob that holds the manifest.
    pub manifest: Sha256Digest,
    pub expires_at: Timestamp,
}

pub fn insert_session(tx: &mut Tx<'_>, session: &SessionRow, now: Timestamp) -> Result<(), DbError> {
    tx.execute("delete from worker_asset_session where expires_at < $1", params![now])?;
    tx.execute(
        "insert into worker_asset_session (id, account, script, manifest, expires_at) values ($1, $2, $3, $4, $5)",
        params![session.id, session.account, session.script, session.manifest, session.expires_at],
    )
    .map(drop)
}

pub fn session(tx: &mut Tx<'_>, id: &Uuid, now: Timestamp) -> Result<Option<SessionRow>, DbError> {
    let row = tx.query_opt("select * from worker_asset_session where id = $1 and expires_at >= $2", params![id, now])?;
    row.map(|row| {
        Ok(SessionRow {
            id: row.parse("id")?,
            account: row.parse("account")?,
            script: row.parse("script")?,
            manifest: row.get("manifest")?,
            expires_at: row.get("expires_at")?,
        })
    })
    .transpose()
}

/// Hashes that one statement asks for: a manifest has thousands, and a statement each would be a round trip each.
const AT_ONCE: usize = 16;

/// The files of these hashes that the account has uploaded.
pub fn known<'a>(
    tx: &mut Tx<'_>,
    account: &CloudAccountId,
    hashes: impl IntoIterator<Item = &'a str>,
) -> Result<BTreeMap<String, Asset>, DbError> {
    const SQL: &str = "select hash, sha256, bytes, content_type from worker_asset where account = $1 and hash in
        ($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
    let hashes: Vec<&str> = hashes.into_iter().collect();
    let mut found = BTreeMap::new();
    for some in hashes.chunks(AT_ONCE) {
        let mut values = vec![account.to_value()];
        values.extend((0..AT_ONCE).map(|i| some.get(i).copied().unwrap_or_default().to_value()));
        for row in tx.query(SQL, &values)? {
            let bytes = u64::try_from(row.get::<i64>("bytes")?).map_err(|_| DbError::Corrupt("column `bytes` is negative".into()))?;
            found.insert(row.get("hash")?, Asset { sha256: row.get("sha256")?, bytes, content_type: row.get("content_type")? });
        }
    }
    Ok(found)
}

pub fn put(tx: &mut Tx<'_>, account: &CloudAccountId, hash: &str, asset: &Asset) -> Result<(), DbError> {
    tx.execute(
        "insert into worker_asset (account, hash, sha256, bytes, content_type) values ($1, $2, $3, $4, $5)
         on conflict (account, hash) do update set sha256 = excluded.sha256, bytes = excluded.bytes, content_type = excluded.content_type",
        params![account, hash, asset.sha256, i64::try_from(asset.bytes).unwrap_or(i64::MAX), asset.content_type],
    )
    .map(drop)
}
