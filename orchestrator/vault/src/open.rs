//! Reading credentials back.

use purser_crypto::seal::{Keyring, SealError};
use purser_db::{DbError, Tx, params};
use purser_values::Secret;
use purser_values::id::{OrganisationId, ProjectId, ResourceId};
use purser_values::name::EnvironmentName;

use crate::store::{Credential, aad, read, scope};

/// A credential with its value.
#[derive(Debug)]
pub struct Opened {
    pub credential: Credential,
    pub value: Secret<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// The variables of an environment, without values, sorted by name.
///
/// # Errors
/// When the store fails.
pub fn names(tx: &mut Tx<'_>, project: &ProjectId, environment: &EnvironmentName) -> Result<Vec<Credential>, DbError> {
    let sql = "select resource, name, variable, organisation, prefix, version, delivered_at, sealed from credential where scope = $1 order by variable";
    tx.query(sql, params![scope(project.as_str(), environment.as_str())])?.iter().map(read).collect()
}

/// The variables of an environment with their values.
///
/// # Errors
/// When the store fails or a value does not open.
pub fn open(tx: &mut Tx<'_>, keyring: &Keyring, project: &ProjectId, environment: &EnvironmentName) -> Result<Vec<Opened>, OpenError> {
    let sql = "select resource, name, variable, organisation, prefix, version, delivered_at, sealed from credential where scope = $1 order by variable";
    let rows = tx.query(sql, params![scope(project.as_str(), environment.as_str())])?;
    rows.iter().map(|row| open_row(keyring, row)).collect()
}

/// One value of one resource, by the provider's name for it.
///
/// # Errors
/// When the store fails or the value does not open.
pub fn open_one(tx: &mut Tx<'_>, keyring: &Keyring, resource: &ResourceId, name: &str) -> Result<Option<Secret<String>>, OpenError> {
    let sql = "select resource, name, variable, organisation, prefix, version, delivered_at, sealed from credential
               where resource = $1 and name = $2";
    let row = tx.query_opt(sql, params![resource, name])?;
    row.map(|row| open_row(keyring, &row).map(|opened| opened.value)).transpose()
}

/// Whose token starts like this, within one organisation.
///
/// # Errors
/// When the store fails.
pub fn find_by_prefix(tx: &mut Tx<'_>, organisation: &OrganisationId, prefix: &str) -> Result<Vec<Credential>, DbError> {
    let sql = "select resource, name, variable, organisation, prefix, version, delivered_at, sealed from credential
               where organisation = $1 and prefix = $2 and prefix <> '' order by delivered_at";
    tx.query(sql, params![organisation, prefix])?.iter().map(read).collect()
}

fn open_row(keyring: &Keyring, row: &purser_db::Row) -> Result<Opened, OpenError> {
    let credential = read(row)?;
    let value = keyring.open_text(&aad(&credential.resource, &credential.name), &row.get::<Vec<u8>>("sealed")?)?;
    Ok(Opened { credential, value })
}
