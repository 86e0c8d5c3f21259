//! The catalogue's tables.

use purser_db::{DbError, Migrations, Row};

use crate::service::Listing;

/// A service that a provider no longer lists is kept and marked, because resources of it may live on.
pub const MIGRATIONS: Migrations = Migrations {
    domain: "catalogue",
    steps: &["create table catalogue_provider (
        name {text} primary key, display {text} not null, seen_at {int} not null
    ){strict};
    create table catalogue_service (
        provider {text} not null, service {text} not null, position {int} not null, listing {text} not null,
        words {text} not null, seen_at {int} not null, gone_at {int}, primary key (provider, service)
    ){strict}"],
};

pub(crate) fn read(row: &Row) -> Result<Listing, DbError> {
    row.json("listing")
}
