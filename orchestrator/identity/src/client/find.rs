//! Reading clients.

use purser_authority::Permit;
use purser_authority::action::ClientRead;
use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use purser_values::name::Email;

use super::{Client, ClientId};

/// A registered client, unless it was removed.
///
/// # Errors
/// When the store fails.
pub fn client_find(tx: &mut Tx<'_>, id: &ClientId) -> Result<Option<Client>, DbError> {
    let select = "select * from client where id = $1 and removed_at is null";
    tx.query_opt(select, params![id.as_str()])?.map(|row| read(&row)).transpose()
}

/// Whether a client was registered here and is not any more. One of the configuration was never in the store.
pub(crate) fn is_removed(tx: &mut Tx<'_>, id: &ClientId) -> Result<bool, DbError> {
    Ok(tx.query_opt("select id from client where id = $1 and removed_at is not null", params![id.as_str()])?.is_some())
}

/// A client of an organisation, and how it came here.
#[derive(Clone, Debug)]
pub struct Listed {
    pub client: Client,
    pub registered_at: Timestamp,
    /// The person who made it known; those of before this was kept do not say.
    pub registered_by: Option<Email>,
}

/// The clients of the caller's organisation, newest first.
///
/// # Errors
/// When the store fails.
pub fn clients_list(tx: &mut Tx<'_>, permit: &Permit<ClientRead>) -> Result<Vec<Listed>, DbError> {
    let select = "select client.*, (select email from person where person.id = client.registered_by) as email
                  from client where organisation = $1 and removed_at is null order by created_at desc, id";
    let listed =
        |row: &Row| Ok(Listed { client: read(row)?, registered_at: row.get("created_at")?, registered_by: row.parse_opt("email")? });
    tx.query(select, params![permit.caller().organisation()])?.iter().map(listed).collect()
}

pub(super) fn read(row: &Row) -> Result<Client, DbError> {
    Ok(Client {
        id: row.parse("id")?,
        trust: row.parse("trust")?,
        organisation: row.parse_opt("organisation")?,
        metadata: row.json("metadata")?,
        secret_hash: row.get("secret_hash")?,
    })
}
