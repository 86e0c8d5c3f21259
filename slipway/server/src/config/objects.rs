//! The table `[objects]`: where the bytes lie that Workers keep, when it is not the data folder.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use slipway_stores::objects::s3::S3Config;
use url::{Host, Url};

use super::ConfigError;
use crate::keys::{KeysError, secret_text};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Objects {
    pub s3: S3Table,
}

/// A bucket of any server that speaks S3.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3Table {
    /// Where the server is; the bucket's name is put into the path.
    pub endpoint: Url,
    pub bucket: String,
    #[serde(default = "region")]
    pub region: String,
    pub access_key_id: String,
    /// A file of mode 0600.
    pub secret_access_key_file: PathBuf,
}

fn region() -> String {
    "us-east-1".to_owned()
}

impl Objects {
    /// # Errors
    /// When customers' bytes would go over a network in the clear, or the address is none.
    pub(super) fn check(self) -> Result<Self, ConfigError> {
        let endpoint = &self.s3.endpoint;
        let here = match endpoint.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
            Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
            None => return Err(ConfigError::Url("objects.s3.endpoint")),
        };
        match endpoint.scheme() {
            "https" => Ok(self),
            "http" if here => Ok(self),
            _ => Err(ConfigError::Plain("objects.s3.endpoint")),
        }
    }

    /// With the secret out of its file.
    ///
    /// # Errors
    /// When the file is missing, empty, or readable by others.
    pub fn open(&self) -> Result<S3Config, KeysError> {
        let S3Table { endpoint, bucket, region, access_key_id, secret_access_key_file } = &self.s3;
        Ok(S3Config {
            endpoint: endpoint.as_str().trim_end_matches('/').to_owned(),
            bucket: bucket.clone(),
            region: region.clone(),
            access_key_id: access_key_id.clone(),
            secret_access_key: secret_text(secret_access_key_file)?,
        })
    }
}
