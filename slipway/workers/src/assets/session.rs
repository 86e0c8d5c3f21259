//! Uploading assets: a manifest, the files that are missing, and a token that says all are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use purser_crypto::jose;
use purser_values::id::CloudAccountId;
use purser_values::{Sha256Digest, Timestamp};
use serde::{Deserialize, Serialize};

use crate::assets::{Asset, AssetSet};
use crate::error::WorkersError;
use crate::limits;
use crate::name::{ScriptName, Uuid};
use crate::store::asset::{self, Manifest, SessionRow};
use crate::upload::draft::Previous;
use crate::upload::metadata::Metadata;
use crate::view::{AssetFile, AssetsSession};
use crate::workers::Workers;

/// The `typ` of both tokens.
const TYPE: &str = "slipway-assets+jwt";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stage {
    /// May upload the files of its manifest.
    Upload,
    /// All files are there: may be named in a deployment.
    Complete,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    session: Uuid,
    stage: Stage,
    iat: i64,
    exp: i64,
}

impl Workers {
    /// Opens a session for a manifest and tells which files are missing. `holder` names what the caller's right hangs on; it comes
    /// back from [`Workers::assets_session_holder`].
    ///
    /// # Errors
    /// [`WorkersError::Asset`] for a manifest that cannot be served.
    pub async fn assets_session_create(
        &self,
        account: &CloudAccountId,
        script: &ScriptName,
        manifest: Manifest,
        holder: &str,
    ) -> Result<AssetsSession, WorkersError> {
        self.account(account).await?;
        check(&manifest)?;
        let text = Bytes::from(serde_json::to_vec(&manifest).map_err(WorkersError::internal)?);
        let digest = Sha256Digest::of(&text);
        self.keep_blobs(account, vec![(digest, text)]).await?;
        let now = self.0.env.now();
        let expires_at = now.plus_secs(limits::ASSET_SESSION_LIFE_S);
        let id = Uuid::mint(&self.0.env);
        let session = SessionRow {
            id: id.clone(),
            account: account.clone(),
            script: script.clone(),
            holder: holder.to_owned(),
            manifest: digest,
            expires_at,
        };
        let listed = manifest.clone();
        let known = self
            .change(move |tx| {
                asset::insert_session(tx, &session, now)?;
                asset::touch(tx, &session.scope(), now)?;
                asset::known(tx, &session.scope(), listed.values().map(|e| e.hash.as_str()))
            })
            .await?;
        let buckets = buckets(&manifest, &known);
        let stage = if buckets.is_empty() { Stage::Complete } else { Stage::Upload };
        Ok(AssetsSession { jwt: self.token(id, stage, expires_at)?, buckets })
    }

    /// Whose session a token is for uploading to: the account and the holder. Reads nothing of the files.
    ///
    /// # Errors
    /// [`WorkersError::AssetSession`] for a token that is not valid.
    pub async fn assets_session_holder(&self, token: &str) -> Result<(CloudAccountId, String), WorkersError> {
        let session = self.session(token, Stage::Upload).await?;
        Ok((session.account, session.holder))
    }

    /// Takes files of a session. Answers the completion token once none is missing.
    ///
    /// # Errors
    /// [`WorkersError::AssetSession`] for a token that is not valid; [`WorkersError::Asset`] for a file that was not announced.
    pub async fn assets_upload(&self, token: &str, files: Vec<AssetFile>) -> Result<Option<String>, WorkersError> {
        let session = self.session(token, Stage::Upload).await?;
        let manifest = self.manifest(&session).await?;
        let announced: BTreeMap<&str, u64> = manifest.values().map(|e| (e.hash.as_str(), e.bytes)).collect();
        let mut blobs = Vec::new();
        let mut rows = Vec::new();
        for file in files {
            match announced.get(file.hash.as_str()) {
                None => return Err(WorkersError::Asset("a file was uploaded that the manifest does not name".to_owned())),
                Some(size) if *size != file.bytes.len() as u64 => {
                    return Err(WorkersError::Asset(format!("the file `{}` has another size than the manifest says", file.hash)));
                }
                Some(size) => {
                    let sha256 = Sha256Digest::of(&file.bytes);
                    rows.push((file.hash, Asset { sha256, bytes: *size, content_type: content_type(&file.content_type) }));
                    blobs.push((sha256, file.bytes));
                }
            }
        }
        self.keep_blobs(&session.account, blobs).await?;
        let scope = session.scope();
        let hashes: BTreeSet<String> = manifest.into_values().map(|e| e.hash).collect();
        let complete = self
            .change(move |tx| {
                for (hash, asset) in &rows {
                    if !asset::put(tx, &scope, hash, asset)? {
                        return Err(WorkersError::Asset(format!("the hash `{hash}` already stands for another file; hash its content")));
                    }
                }
                if asset::count(tx, &scope.account)? > limits::ASSET_HASHES {
                    let text = format!(
                        "the account has its {} asset files; those that no Worker needs are forgotten in time",
                        limits::ASSET_HASHES
                    );
                    return Err(WorkersError::TooLarge(text));
                }
                let known = asset::known(tx, &scope, hashes.iter().map(String::as_str))?;
                Ok::<_, WorkersError>(known.len() == hashes.len())
            })
            .await?;
        complete.then(|| self.token(session.id, Stage::Complete, session.expires_at)).transpose()
    }

    /// The assets that an upload wants, with the blob that lists them.
    pub(crate) async fn assets_of(
        &self,
        account: &CloudAccountId,
        script: &ScriptName,
        metadata: &Metadata,
        previous: &Previous,
    ) -> Result<Option<(Sha256Digest, Arc<AssetSet>)>, WorkersError> {
        let before = previous.row.as_ref().and_then(|r| r.asset_list);
        let config = metadata.assets.as_ref().map(|a| a.config.checked());
        let files = match metadata.assets.as_ref().and_then(|a| a.jwt.as_deref()) {
            Some(token) => self.completed(account, script, token).await?,
            None if metadata.keep_assets || metadata.assets.is_some() => match before {
                Some(list) if config.is_none() => return Ok(Some((list, self.asset_set(&list).await?))),
                Some(list) => self.asset_set(&list).await?.files.clone(),
                None if metadata.keep_assets => return Ok(None),
                None => return Err(WorkersError::Asset("there are no assets to keep; upload them first".to_owned())),
            },
            None => return Ok(None),
        };
        let set = AssetSet { files, config: config.unwrap_or_default() };
        let text = Bytes::from(serde_json::to_vec(&set).map_err(WorkersError::internal)?);
        let list = Sha256Digest::of(&text);
        self.keep_blobs(account, vec![(list, text)]).await?;
        Ok(Some((list, Arc::new(set))))
    }

    async fn completed(&self, account: &CloudAccountId, script: &ScriptName, token: &str) -> Result<BTreeMap<String, Asset>, WorkersError> {
        let session = self.session(token, Stage::Complete).await?;
        if session.account != *account || session.script != *script {
            return Err(WorkersError::AssetSession);
        }
        let manifest = self.manifest(&session).await?;
        let (scope, hashes) = (session.scope(), manifest.values().map(|e| e.hash.clone()).collect::<Vec<_>>());
        let known = self.0.db.read(move |tx| asset::known(tx, &scope, hashes.iter().map(String::as_str))).await?;
        let find = |(path, entry): (String, asset::ManifestEntry)| known.get(&entry.hash).map(|a| (path, a.clone()));
        let wanted = manifest.len();
        let files: BTreeMap<String, Asset> = manifest.into_iter().filter_map(find).collect();
        if files.len() == wanted { Ok(files) } else { Err(WorkersError::AssetSession) }
    }

    async fn session(&self, token: &str, stage: Stage) -> Result<SessionRow, WorkersError> {
        let claims: Claims = jose::verify(token, TYPE, self.0.session_key.public()).map_err(|_| WorkersError::AssetSession)?.claims;
        let (now, id) = (self.0.env.now(), claims.session);
        if claims.stage != stage || claims.exp <= now.as_secs() {
            return Err(WorkersError::AssetSession);
        }
        let found = self.0.db.read(move |tx| asset::session(tx, &id, now)).await?;
        found.ok_or(WorkersError::AssetSession)
    }

    async fn manifest(&self, session: &SessionRow) -> Result<Manifest, WorkersError> {
        let text = self.0.blobs.get(&session.manifest).await?;
        serde_json::from_slice(&text).map_err(WorkersError::internal)
    }

    fn token(&self, session: Uuid, stage: Stage, expires_at: Timestamp) -> Result<String, WorkersError> {
        let claims = Claims { iss: "slipway".to_owned(), session, stage, iat: self.0.env.now().as_secs(), exp: expires_at.as_secs() };
        self.0.session_key.sign(TYPE, &claims).map_err(WorkersError::internal)
    }
}

fn check(manifest: &Manifest) -> Result<(), WorkersError> {
    let refuse = |text: String| Err(WorkersError::Asset(text));
    if manifest.is_empty() || manifest.len() > limits::ASSETS {
        return refuse(format!("a manifest names between 1 and {} files", limits::ASSETS));
    }
    let mut sizes: BTreeMap<&str, u64> = BTreeMap::new();
    for (path, entry) in manifest {
        let shown: String = path.chars().take(128).collect();
        let clean = path.starts_with('/') && path.len() <= limits::ASSET_PATH_BYTES && !path.chars().any(char::is_control);
        if !clean || path.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
            return refuse(format!("`{shown}` is not a path of a file"));
        }
        if entry.hash.len() != 32 || !entry.hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return refuse(format!("the hash of `{shown}` is not 32 hexadecimal digits"));
        }
        if entry.bytes > limits::ASSET_BYTES {
            return refuse(format!("`{shown}` has {} bytes, {} are allowed", entry.bytes, limits::ASSET_BYTES));
        }
        if *sizes.entry(&entry.hash).or_insert(entry.bytes) != entry.bytes {
            return refuse(format!("`{shown}` has the hash of a file of another size"));
        }
    }
    let total: u64 = manifest.values().map(|e| e.bytes).sum();
    if total > limits::ASSETS_BYTES {
        return refuse(format!("the files have {total} bytes, {} are allowed", limits::ASSETS_BYTES));
    }
    Ok(())
}

fn buckets(manifest: &Manifest, known: &BTreeMap<String, Asset>) -> Vec<Vec<String>> {
    let missing: BTreeMap<&str, u64> =
        manifest.values().filter(|e| !known.contains_key(&e.hash)).map(|e| (e.hash.as_str(), e.bytes)).collect();
    let mut buckets: Vec<Vec<String>> = Vec::new();
    let mut room = 0_u64;
    for (hash, bytes) in missing {
        match buckets.last_mut() {
            Some(bucket) if bytes <= room && bucket.len() < limits::BUCKET_FILES => {
                bucket.push(hash.to_owned());
                room -= bytes;
            }
            _ => {
                buckets.push(vec![hash.to_owned()]);
                room = limits::BUCKET_BYTES.saturating_sub(bytes);
            }
        }
    }
    buckets
}

fn content_type(sent: &str) -> Option<String> {
    let plain = !sent.is_empty() && sent.len() <= 255 && sent.bytes().all(|b| (b' '..=b'~').contains(&b));
    (plain && sent != "application/null").then(|| sent.to_owned())
}
