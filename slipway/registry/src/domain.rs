//! A registered name, and what may be done with it in which state.

pub mod check;
pub mod create;
pub mod delete;
pub mod info;
pub mod renew;
pub mod transfer;
pub mod update;

use purser_db::{DbError, Row, Tx, params};
use purser_values::{Env, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::code::Code;
use crate::command::{Call, roid};
use crate::limits::{GRACE_S, LATE_S, PENDING_DELETE_S, REDEMPTION_S, REPORT_S};
use crate::reply::{Outcome, refused};
use crate::store::link;

/// Statuses that a registrar may set.
pub(crate) const CLIENT_STATUSES: [&str; 5] =
    ["clientDeleteProhibited", "clientHold", "clientRenewProhibited", "clientTransferProhibited", "clientUpdateProhibited"];

#[derive(Clone, Debug)]
pub(crate) struct Domain {
    pub name: String,
    pub roid: String,
    /// The registrar that it is kept for.
    pub client: String,
    pub registrant: Option<String>,
    pub contacts: Vec<Contact>,
    pub name_servers: Vec<String>,
    /// As they were set; what follows from the state is added when they are shown.
    pub statuses: Vec<String>,
    pub ds: Vec<Ds>,
    /// What is kept of its `authInfo`; names of the older table have none.
    pub auth: Option<Vec<u8>>,
    pub created_by: String,
    pub created_at: Timestamp,
    pub updated_by: Option<String>,
    pub updated_at: Option<Timestamp>,
    pub renewed_at: Option<Timestamp>,
    pub transferred_at: Option<Timestamp>,
    pub expires_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    /// When it was asked to be restored; the report is due.
    pub restored_at: Option<Timestamp>,
    /// The last transfer, pending or over.
    pub transfer: Option<Transfer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Contact {
    pub kind: String,
    pub id: String,
}

/// A DS record (RFC 5910 dsData).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ds {
    pub key_tag: u16,
    pub algorithm: u8,
    pub digest_type: u8,
    /// In upper-case hexadecimal digits.
    pub digest: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Transfer {
    /// As `trStatus` has it.
    pub status: String,
    pub gaining: String,
    pub asked_at: Timestamp,
    pub losing: String,
    pub acted_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

impl Transfer {
    pub(crate) fn is_pending(&self) -> bool {
        self.status == "pending"
    }
}

/// Where a name is between its order and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Live,
    Redemption,
    PendingRestore,
    PendingDelete,
}

impl Domain {
    pub(crate) fn phase(&self, now: Timestamp) -> Phase {
        match (self.deleted_at, self.restored_at) {
            (None, _) => Phase::Live,
            (Some(_), Some(_)) => Phase::PendingRestore,
            (Some(deleted), None) if now < deleted.plus_secs(REDEMPTION_S) => Phase::Redemption,
            (Some(_), None) => Phase::PendingDelete,
        }
    }

    pub(crate) fn pending_transfer(&self) -> Option<&Transfer> {
        self.transfer.as_ref().filter(|transfer| transfer.is_pending())
    }

    /// Every status that is shown.
    pub(crate) fn shown(&self, now: Timestamp) -> Vec<String> {
        let mut all = self.statuses.clone();
        if self.phase(now) != Phase::Live {
            all.push("pendingDelete".to_owned());
        }
        if self.pending_transfer().is_some() {
            all.push("pendingTransfer".to_owned());
        }
        if all.is_empty() {
            all.push("ok".to_owned());
        }
        if self.name_servers.is_empty() {
            // `inactive` stands beside everything but `ok`.
            all.retain(|status| status != "ok");
            all.push("inactive".to_owned());
        }
        all
    }

    /// The grace periods that it is in (RFC 3915).
    pub(crate) fn graces(&self, now: Timestamp) -> Vec<&'static str> {
        let fresh = |at: Option<Timestamp>| at.is_some_and(|at| now < at.plus_secs(GRACE_S));
        match self.phase(now) {
            Phase::Redemption => vec!["redemptionPeriod"],
            Phase::PendingRestore => vec!["pendingRestore"],
            Phase::PendingDelete => vec!["pendingDelete"],
            Phase::Live => [
                (fresh(Some(self.created_at)), "addPeriod"),
                (fresh(self.renewed_at), "renewPeriod"),
                (fresh(self.transferred_at), "transferPeriod"),
            ]
            .into_iter()
            .filter_map(|(is, name)| is.then_some(name))
            .collect(),
        }
    }

    /// When the clock next changes something.
    pub(crate) fn due(&self) -> Timestamp {
        let end = match (self.deleted_at, self.restored_at) {
            (None, _) => self.expires_at.plus_secs(LATE_S),
            (Some(_), Some(asked)) => asked.plus_secs(REPORT_S),
            (Some(deleted), None) => deleted.plus_secs(REDEMPTION_S + PENDING_DELETE_S),
        };
        self.pending_transfer().map_or(end, |transfer| transfer.acted_at.min(end))
    }

    /// Refuses whoever is not the registrar that it is kept for.
    pub(crate) fn belongs_to(&self, call: &Call<'_>) -> Outcome<()> {
        if self.client == call.client { Ok(()) } else { Err(refused(Code::Authorisation, "the name is kept for another registrar")) }
    }

    /// Refuses a change that a status or the phase forbids.
    pub(crate) fn allows(&self, what: &str, now: Timestamp) -> Outcome<()> {
        let forbidden = self.statuses.iter().find(|it| it.ends_with(what) && (it.starts_with("client") || it.starts_with("server")));
        if let Some(status) = forbidden {
            return Err(refused(Code::Status, format!("the name is `{status}`")));
        }
        if self.phase(now) != Phase::Live {
            return Err(refused(Code::Status, "the name is `pendingDelete`"));
        }
        if self.pending_transfer().is_some() {
            return Err(refused(Code::Status, "the name is `pendingTransfer`"));
        }
        Ok(())
    }
}

/// The name that a command names, which must be registered here.
pub(crate) fn named(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome<Domain> {
    let name = call.required("name")?.to_ascii_lowercase();
    find(tx, &name)?.ok_or_else(|| refused(Code::NotFound, ""))
}

pub(crate) fn find(tx: &mut Tx<'_>, name: &str) -> Result<Option<Domain>, DbError> {
    tx.query_opt("select * from epp_domain where name = $1", params![name])?.map(|row| read(&row)).transpose()
}

pub(crate) fn due(tx: &mut Tx<'_>, now: Timestamp, limit: u32) -> Result<Vec<Domain>, DbError> {
    tx.query("select * from epp_domain where due_at <= $1 order by due_at limit $2", params![now, limit])?.iter().map(read).collect()
}

pub(crate) fn insert(tx: &mut Tx<'_>, d: &Domain) -> Result<(), DbError> {
    tx.execute(
        "insert into epp_domain (name, roid, client, contacts, name_servers, statuses, ds, created_by, created_at, expires_at, due_at)
         values ($1, $2, $3, '[]', '[]', '[]', '[]', $4, $5, $6, $7)",
        params![d.name, d.roid, d.client, d.created_by, d.created_at, d.expires_at, d.due()],
    )?;
    save(tx, d)
}

pub(crate) fn save(tx: &mut Tx<'_>, d: &Domain) -> Result<(), DbError> {
    tx.execute(
        "update epp_domain set client = $2, registrant = $3, contacts = $4, name_servers = $5, statuses = $6, ds = $7, auth = $8,
         updated_by = $9, updated_at = $10, renewed_at = $11, transferred_at = $12, expires_at = $13, deleted_at = $14,
         restored_at = $15, transfer = $16, due_at = $17 where name = $1",
        params![
            d.name,
            d.client,
            d.registrant,
            json!(d.contacts),
            json!(d.name_servers),
            json!(d.statuses),
            json!(d.ds),
            d.auth,
            d.updated_by,
            d.updated_at,
            d.renewed_at,
            d.transferred_at,
            d.expires_at,
            d.deleted_at,
            d.restored_at,
            d.transfer.as_ref().map(|it| json!(it)),
            d.due()
        ],
    )?;
    let contacts: Vec<String> = d.registrant.iter().cloned().chain(d.contacts.iter().map(|it| it.id.clone())).collect();
    link(tx, &d.name, "contact", &contacts)?;
    link(tx, &d.name, "host", &d.name_servers)
}

pub(crate) fn erase(tx: &mut Tx<'_>, name: &str) -> Result<(), DbError> {
    tx.execute("delete from epp_link where domain = $1", params![name])?;
    // Its own hosts end with it, except those that other names are still delegated to.
    tx.execute(
        "delete from epp_host where name like $1 and not exists (select 1 from epp_link where kind = 'host' and target = epp_host.name)",
        params![format!("%.{name}")],
    )?;
    tx.execute("delete from epp_domain where name = $1", params![name]).map(drop)
}

/// Registers a name that is somebody's from the start, for as long as time lasts.
pub(crate) fn seed(tx: &mut Tx<'_>, env: &Env, name: &str, client: &str) -> Result<(), DbError> {
    if find(tx, name)?.is_some() {
        return Ok(());
    }
    let now = env.now();
    insert(
        tx,
        &Domain {
            name: name.to_owned(),
            roid: roid(env, 'D'),
            client: client.to_owned(),
            registrant: None,
            contacts: Vec::new(),
            name_servers: Vec::new(),
            statuses: ["serverDeleteProhibited", "serverTransferProhibited"].map(str::to_owned).to_vec(),
            ds: Vec::new(),
            // Nobody knows it, so nobody takes the name for one of their own orders.
            auth: Some(env.bytes::<32>().to_vec()),
            created_by: client.to_owned(),
            created_at: now,
            updated_by: None,
            updated_at: None,
            renewed_at: None,
            transferred_at: None,
            expires_at: now.plus_months(1_200),
            deleted_at: None,
            restored_at: None,
            transfer: None,
        },
    )
}

fn read(row: &Row) -> Result<Domain, DbError> {
    let transfer: Option<String> = row.get("transfer")?;
    let transfer = transfer.map(|text| serde_json::from_str(&text).map_err(|e| DbError::Corrupt(e.to_string()))).transpose()?;
    Ok(Domain {
        name: row.get("name")?,
        roid: row.get("roid")?,
        client: row.get("client")?,
        registrant: row.get("registrant")?,
        contacts: row.json("contacts")?,
        name_servers: row.json("name_servers")?,
        statuses: row.json("statuses")?,
        ds: row.json("ds")?,
        auth: row.get("auth")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
        updated_by: row.get("updated_by")?,
        updated_at: row.get("updated_at")?,
        renewed_at: row.get("renewed_at")?,
        transferred_at: row.get("transferred_at")?,
        expires_at: row.get("expires_at")?,
        deleted_at: row.get("deleted_at")?,
        restored_at: row.get("restored_at")?,
        transfer,
    })
}
