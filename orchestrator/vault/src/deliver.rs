//! Taking in what a provider delivered.

use std::collections::BTreeMap;

use purser_crypto::seal::{Keyring, SealError};
use purser_crypto::token::public_prefix;
use purser_db::{DbError, Tx, params};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{OrganisationId, ProjectId, ResourceId};
use purser_values::name::{EnvironmentName, ResourceName};
use purser_values::{Env, Secret, Sha256Digest};

use crate::store::{aad, scope};

/// Most values of one resource, and the longest of them in bytes.
const VALUES: usize = 64;
const VALUE_BYTES: usize = 16 * 1024;

/// Where the values belong.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub organisation: OrganisationId,
    pub project: ProjectId,
    pub environment: EnvironmentName,
    pub resource: ResourceId,
    pub resource_name: ResourceName,
}

#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    #[error("the provider delivered `{0}`, which cannot be an environment variable")]
    Name(String),
    #[error("the provider delivered more or longer values than a resource may have")]
    TooMuch,
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for DeliverError {
    fn code(&self) -> &'static str {
        match self {
            Self::Name(_) | Self::TooMuch => "provider_garbage",
            Self::Seal(_) => "sealing_failed",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Name(_) | Self::TooMuch => Kind::Provider,
            Self::Seal(_) => Kind::Internal,
            Self::Store(e) => e.kind(),
        }
    }
}

/// Seals the values of a resource and gives the variable names they are delivered as, in the order of the values' names.
/// A value that is delivered again replaces the old one and keeps its variable.
///
/// # Errors
/// When a name is unusable, there is too much, or the store fails.
pub fn deliver(
    tx: &mut Tx<'_>,
    env: &Env,
    keyring: &Keyring,
    to: &Delivery,
    values: &BTreeMap<String, Secret<String>>,
) -> Result<Vec<String>, DeliverError> {
    if values.len() > VALUES || values.values().any(|v| v.expose().len() > VALUE_BYTES) {
        return Err(DeliverError::TooMuch);
    }
    let scope = scope(to.project.as_str(), to.environment.as_str());
    let mut variables = Vec::with_capacity(values.len());
    for (name, value) in values {
        let variable = variable_for(tx, to, &scope, name)?;
        let sealed = keyring.seal(env, &aad(&to.resource, name), value.expose().as_bytes())?;
        let upsert = "insert into credential (resource, name, variable, organisation, scope, sealed, prefix, digest, version, delivered_at)
                      values ($1, $2, $3, $4, $5, $6, $7, $8, 1, $9)
                      on conflict (resource, name) do update set sealed = excluded.sealed, prefix = excluded.prefix,
                      digest = excluded.digest, version = credential.version + 1, delivered_at = excluded.delivered_at";
        let (prefix, digest) = (shown(value.expose()), Sha256Digest::of(value.expose().as_bytes()));
        tx.execute(upsert, params![to.resource, name, variable, to.organisation, scope, sealed, prefix, digest, env.now()])?;
        variables.push(variable);
    }
    Ok(variables)
}

/// Erases the values of a resource.
///
/// # Errors
/// When the store fails.
pub fn forget(tx: &mut Tx<'_>, resource: &ResourceId) -> Result<u64, DbError> {
    tx.execute("delete from credential where resource = $1", params![resource])
}

/// The name it has already; else its own name when that is free; else with the resource's name in front.
fn variable_for(tx: &mut Tx<'_>, to: &Delivery, scope: &str, name: &str) -> Result<String, DeliverError> {
    let existing = tx.query_opt("select variable from credential where resource = $1 and name = $2", params![to.resource, name])?;
    if let Some(row) = existing {
        return Ok(row.get("variable")?);
    }
    let plain = as_variable(name).ok_or_else(|| DeliverError::Name(name.chars().take(64).collect()))?;
    let taken = tx.query_opt("select name from credential where scope = $1 and variable = $2", params![scope, plain])?.is_some();
    if !taken && !is_reserved(&plain) {
        return Ok(plain);
    }
    let resource = to.resource_name.as_str().to_ascii_uppercase().replace('-', "_");
    Ok(format!("{resource}_{plain}"))
}

/// `api_key` becomes `API_KEY`; what no shell would take is refused.
fn as_variable(name: &str) -> Option<String> {
    let upper = name.to_ascii_uppercase();
    let fine = !upper.is_empty()
        && upper.len() <= 128
        && !upper.as_bytes()[0].is_ascii_digit()
        && upper.bytes().all(|b| matches!(b, b'A'..=b'Z' | b'0'..=b'9' | b'_'));
    fine.then_some(upper)
}

/// Variables that change how programs run. A provider that names its key `LD_PRELOAD` gets the resource's name in front.
fn is_reserved(variable: &str) -> bool {
    const WHOLE: &[&str] = &[
        "PATH",
        "HOME",
        "SHELL",
        "USER",
        "PWD",
        "IFS",
        "ENV",
        "BASH_ENV",
        "PS4",
        "PROMPT_COMMAND",
        "EDITOR",
        "PAGER",
        "BROWSER",
        "TMPDIR",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "PERL5OPT",
        "PERL5LIB",
        "RUBYOPT",
        "RUBYLIB",
        "JAVA_TOOL_OPTIONS",
        "_JAVA_OPTIONS",
        "CLASSPATH",
        "CURL_CA_BUNDLE",
        "CURL_HOME",
        "WGETRC",
    ];
    const STARTS: &[&str] =
        &["LD_", "DYLD_", "NODE_", "NPM_", "PYTHON", "GIT_", "SSH_", "RUST", "CARGO", "GCONV_", "MALLOC_", "PURSER_", "XDG_", "LC_"];
    WHOLE.contains(&variable) || STARTS.iter().any(|start| variable.starts_with(start))
}

/// Enough to recognise a value by, never enough to use it: nothing at all of short values.
fn shown(value: &str) -> String {
    if value.len() >= 32 { public_prefix(value) } else { String::new() }
}
