//! Resources through their life: add, remove, rotate.

pub mod add;
pub mod preflight;
pub mod remove;
pub mod rotate;
pub(crate) mod add_saga;
mod check;

use purser_authority::Caller;
use purser_db::Tx;
use purser_flow::StepError;
use purser_values::error::Kind;
use purser_values::id::ResourceId;

use crate::app::App;
use crate::error::OpError;
use crate::fault::permanent;
use crate::store::resource::{self, Resource};

/// A live resource of the caller's organisation; anything else does not exist.
pub(crate) fn own(tx: &mut Tx<'_>, caller: &Caller, id: &ResourceId) -> Result<Resource, OpError> {
    let found = resource::get(tx, id)?.filter(|r| Some(&r.organisation) == caller.organisation());
    found.ok_or_else(|| OpError::ResourceUnknown(id.to_string()))
}


/// The row that a step works on.
pub(crate) async fn resource_row(app: &App, id: &ResourceId) -> Result<Resource, StepError> {
    let id = id.clone();
    let row = app.core.db.read(move |tx| resource::get(tx, &id)).await.map_err(StepError::transient)?;
    row.ok_or_else(|| permanent("resource_lost", Kind::Internal, "the resource of the saga is gone", None))
}

/// Where a resource's credentials belong.
pub(crate) fn delivery(row: &Resource) -> purser_vault::Delivery {
    purser_vault::Delivery {
        organisation: row.organisation.clone(),
        project: row.project.clone(),
        environment: row.environment.clone(),
        resource: row.id.clone(),
        resource_name: row.name.clone(),
    }
}
