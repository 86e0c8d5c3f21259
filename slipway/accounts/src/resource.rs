//! What an account ordered: plans, access to the runtime, domains.

pub mod begin;
pub mod end;
pub mod get;

use std::str::FromStr;

use purser_db::{DbError, Row};
use purser_values::Timestamp;
use purser_values::id::{CloudAccountId, CloudResourceId, QuoteId};
use purser_wire::error::ErrorBody;
use purser_wire::id::AgentId;
use serde_json::{Map, Value};

use crate::service::Service;

/// One provisioned instance of a service, or the attempt to get one.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    pub id: CloudResourceId,
    pub account: CloudAccountId,
    pub service: Service,
    /// For whom it was ordered; its credentials are that agent's.
    pub agent: Option<AgentId>,
    pub configuration: Map<String, Value>,
    pub quote: Option<QuoteId>,
    pub state: ResourceState,
    pub created_at: Timestamp,
}

/// Where a resource is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceState {
    /// Ordered; not everything that belongs to it has happened yet.
    Pending,
    Complete,
    /// It will never be; why is told to whoever repeats the order.
    Failed(ErrorBody),
    Removed,
}

impl ResourceState {
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Complete => "complete",
            Self::Failed(_) => "failed",
            Self::Removed => "removed",
        }
    }
}

pub(crate) fn read(row: &Row) -> Result<Resource, DbError> {
    let state = match row.get::<String>("state")?.as_str() {
        "pending" => ResourceState::Pending,
        "complete" => ResourceState::Complete,
        "failed" => ResourceState::Failed(ErrorBody::new(row.get::<String>("code")?, row.get::<String>("message")?)),
        "removed" => ResourceState::Removed,
        other => return Err(DbError::Corrupt(format!("`{other}` is no state of a resource"))),
    };
    Ok(Resource {
        id: row.parse("id")?,
        account: row.parse("account")?,
        service: Service::from_str(&row.get::<String>("service")?).map_err(|e| DbError::Corrupt(e.to_string()))?,
        agent: row.parse_opt("agent")?,
        configuration: row.json("configuration")?,
        quote: row.parse_opt("quote")?,
        state,
        created_at: row.get("created_at")?,
    })
}
