//! Objects in a bucket of any S3.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _, WriteMultipart};
use purser_values::Secret;

use super::{Key, Objects, Pending};
use crate::body::Chunks;

/// What is sent in one request; more goes in parts of this size.
const PART: usize = 8 * 1024 * 1024;
/// Parts of one object that are on their way at a time.
const PARTS_AT_A_TIME: usize = 2;

/// Where the bucket is, and as whom we come.
#[derive(Clone, Debug)]
pub struct S3Config {
    pub endpoint: String,
    pub bucket: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: Secret<String>,
}

impl S3Config {
    /// As the place of objects is written down.
    #[must_use]
    pub fn place(&self) -> String {
        format!("s3 {} {}", self.endpoint, self.bucket)
    }
}

/// A bucket.
#[derive(Clone, Debug)]
pub struct S3Objects(Arc<dyn ObjectStore>);

impl S3Objects {
    /// # Errors
    /// When the configuration names no usable address. Nothing is asked of the bucket yet.
    pub fn open(config: &S3Config) -> io::Result<Self> {
        let store = AmazonS3Builder::new()
            .with_endpoint(&config.endpoint)
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_access_key_id(&config.access_key_id)
            .with_secret_access_key(config.secret_access_key.expose())
            // the operator named the address; whether it may be plain is the configuration's business
            .with_allow_http(config.endpoint.starts_with("http://"))
            .build()
            .map_err(io::Error::other)?;
        Ok(Self(Arc::new(store)))
    }

    /// Whether the bucket is there and lets us in.
    ///
    /// # Errors
    /// What the server says against it.
    pub async fn look(&self) -> io::Result<()> {
        let path = Path::from("look");
        self.0.list(Some(&path)).next().await.transpose().map(drop).map_err(io::Error::from)
    }

    async fn write(&self, path: Path, mut chunks: Chunks) -> io::Result<u64> {
        let mut held = BytesMut::new();
        while let Some(piece) = chunks.next().await {
            held.extend_from_slice(&piece?);
            if held.len() >= PART {
                return self.write_parts(path, held, chunks).await;
            }
        }
        let length = held.len() as u64;
        self.0.put(&path, held.freeze().into()).await.map_err(io::Error::from)?;
        Ok(length)
    }

    async fn write_parts(&self, path: Path, first: BytesMut, mut chunks: Chunks) -> io::Result<u64> {
        let upload = self.0.put_multipart(&path).await.map_err(io::Error::from)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
        let mut length = first.len() as u64;
        upload.put(first.freeze());
        while let Some(piece) = chunks.next().await {
            let waited = match piece {
                Ok(piece) => {
                    length += piece.len() as u64;
                    upload.put(piece);
                    upload.wait_for_capacity(PARTS_AT_A_TIME).await.map_err(io::Error::from)
                }
                Err(e) => Err(e),
            };
            if let Err(e) = waited {
                // parts that nobody completes are the bucket's own rule to remove; we say at least that we are done
                let _ = upload.abort().await;
                return Err(e);
            }
        }
        upload.finish().await.map_err(io::Error::from)?;
        Ok(length)
    }
}

impl Objects for S3Objects {
    fn put(&self, key: &Key, chunks: Chunks) -> Pending<'_, u64> {
        let path = Path::from(key.as_str());
        Box::pin(self.write(path, chunks))
    }

    fn get(&self, key: &Key, range: Option<Range<u64>>) -> Pending<'_, Option<Chunks>> {
        let path = Path::from(key.as_str());
        Box::pin(async move {
            let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
            match self.0.get_opts(&path, options).await {
                Ok(found) => Ok(Some(found.into_stream().map_err(io::Error::from).boxed())),
                Err(Error::NotFound { .. }) => Ok(None),
                Err(e) => Err(e.into()),
            }
        })
    }

    fn delete(&self, key: &Key) -> Pending<'_, ()> {
        let path = Path::from(key.as_str());
        Box::pin(async move {
            match self.0.delete(&path).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(e) => Err(e.into()),
            }
        })
    }

    fn list(&self, folder: &str) -> Pending<'_, Vec<(Key, u64)>> {
        let folder = Path::from(folder);
        Box::pin(async move {
            let found: Vec<_> = self.0.list(Some(&folder)).try_collect().await.map_err(io::Error::from)?;
            Ok(found.into_iter().filter_map(|one| Some((one.location.as_ref().parse().ok()?, one.size))).collect())
        })
    }
}
