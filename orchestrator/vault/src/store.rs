//! The credential table.

use purser_db::{DbError, Migrations, Row};
use purser_values::Timestamp;
use purser_values::id::{OrganisationId, ResourceId};

/// One row for each credential value of a live resource.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "vault",
    steps: &["create table credential (
        resource {text} not null, name {text} not null, variable {text} not null, organisation {text} not null,
        scope {text} not null, sealed {blob} not null, prefix {text} not null, digest {text} not null,
        version {int} not null, delivered_at {int} not null, primary key (resource, name)
    ){strict};
    create unique index credential_variable on credential (scope, variable);
    create index credential_prefix on credential (organisation, prefix)"],
};

/// What may be said of a credential without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    pub resource: ResourceId,
    /// The provider's name for it.
    pub name: String,
    /// The environment variable that it is delivered as.
    pub variable: String,
    pub organisation: OrganisationId,
    /// The part of the value that may be shown, for finding a leaked token's owner.
    pub prefix: String,
    /// Counts rotations.
    pub version: i64,
    pub delivered_at: Timestamp,
}

pub(crate) fn read(row: &Row) -> Result<Credential, DbError> {
    Ok(Credential {
        resource: row.parse("resource")?,
        name: row.get("name")?,
        variable: row.get("variable")?,
        organisation: row.parse("organisation")?,
        prefix: row.get("prefix")?,
        version: row.get("version")?,
        delivered_at: row.get("delivered_at")?,
    })
}

/// What a sealed value is bound to: moved to another row it does not open.
pub(crate) fn aad(resource: &ResourceId, name: &str) -> String {
    format!("credential/{resource}/{name}")
}

/// Variables are unique within a project's environment.
pub(crate) fn scope(project: &str, environment: &str) -> String {
    format!("{project}/{environment}")
}
