//! Every blocker at once, each with its code, who can clear it and how.

use purser_authority::action::ResourceAdd;
use purser_authority::{Caller, authorise};
use purser_catalogue::Price;
use purser_identity::standing;
use purser_values::error::{Kind, PublicError};
use serde::Serialize;

use super::add::AddRequest;
use super::check::{check, facts};
use crate::app::App;
use crate::error::OpError;
use crate::store::project;

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub label: String,
    pub pass: bool,
    pub code: Option<&'static str>,
    pub remedy: Option<String>,
    /// `agent`, `person` or `operator`.
    pub who: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Preflight {
    pub ready: bool,
    pub rows: Vec<Row>,
    pub cost: Option<Price>,
}

/// Looks, and changes nothing.
///
/// # Errors
/// When the store fails.
pub async fn preflight(app: &App, caller: &Caller, request: AddRequest) -> Result<Preflight, OpError> {
    let (app_in, caller) = (app.clone(), caller.clone());
    app.core
        .db
        .read(move |tx| {
            let (app, now) = (&app_in, app_in.core.env.now());
            let mut rows = Vec::new();
            let standing = standing(tx, now, &caller)?;
            let subject = request.service.to_string();
            let permit = authorise::<ResourceAdd>(&caller, &facts(&standing, now, &request, &subject));
            rows.push(row("the grant allows it", permit.err().map(OpError::from).as_ref()));
            let organisation = caller.organisation().ok_or_else(|| OpError::Invalid("the caller has no organisation".to_owned()))?;
            let Some(project) = project::by_name(tx, organisation, &request.project)? else {
                rows.push(row("the project exists", Some(&OpError::ProjectUnknown(request.project.clone()))));
                return Ok(Preflight { ready: false, rows, cost: None });
            };
            rows.push(row("the project exists", None));
            let checked = check(tx, app, &request, &project, standing.grant.as_ref())?;
            if checked.blockers.is_empty() {
                rows.push(row("the service can be added", None));
            }
            rows.extend(checked.blockers.iter().map(|blocker| row(&blocker.to_string(), Some(blocker))));
            let cost = checked.listing.map(|l| l.price);
            Ok(Preflight { ready: rows.iter().all(|r| r.pass), rows, cost })
        })
        .await
}

fn row(label: &str, blocker: Option<&OpError>) -> Row {
    Row {
        label: label.to_owned(),
        pass: blocker.is_none(),
        code: blocker.map(PublicError::code),
        remedy: blocker.and_then(PublicError::hint),
        who: blocker.map(|b| match b.kind() {
            Kind::NeedsPerson | Kind::Forbidden | Kind::Payment | Kind::Unauthenticated => "person",
            Kind::Unavailable | Kind::Internal | Kind::Provider => "operator",
            _ => "agent",
        }),
    }
}
