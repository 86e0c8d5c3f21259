//! Every blocker at once, each with its code, who can clear it and how.

use purser_authority::action::ResourceAdd;
use purser_authority::{Caller, authorise};
use purser_catalogue::{Listing, Price};
use purser_db::Tx;
use purser_identity::standing;
use purser_values::error::{Kind, PublicError};
use serde::Serialize;

use super::add::AddRequest;
use super::afford;
use super::check::{by_approval, check, facts};
use crate::app::App;
use crate::error::OpError;
use crate::store::project::{self, Project};
use crate::store::resource::{self, State};

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
    /// What does not stand against it and is seldom meant.
    pub warnings: Vec<String>,
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
            rows.push(row("the grant allows it", permit.err().map(OpError::from).as_ref().map(|e| e as &dyn PublicError)));
            let organisation = caller.organisation().ok_or_else(|| OpError::Invalid("the caller has no organisation".to_owned()))?;
            let Some(project) = project::by_name(tx, organisation, &request.project)? else {
                rows.push(row("the project exists", Some(&OpError::ProjectUnknown(request.project.clone()))));
                return Ok(Preflight { ready: false, rows, warnings: Vec::new(), cost: None });
            };
            rows.push(row("the project exists", None));
            let mut checked = check(tx, app, &request, &project, standing.grant.as_ref())?;
            checked.blockers.retain(|blocker| request.approval.is_none() || !by_approval(blocker));
            if checked.blockers.is_empty() {
                rows.push(row("the service can be added", None));
            }
            rows.extend(checked.blockers.iter().map(|blocker| row(&blocker.to_string(), Some(blocker))));
            let Some(listing) = checked.listing else { return Ok(Preflight { ready: false, rows, warnings: Vec::new(), cost: None }) };
            let money = afford::blockers(tx, app, &standing, &request, &listing)?;
            if request.approval.is_none()
                && let Some(spent) = afford::spent_budget(tx, app, &standing, &request, &listing)?
            {
                rows.push(row(&spent.to_string(), Some(&spent)));
            }
            if money.is_empty() && matches!(listing.price, Price::Known { .. }) {
                rows.push(row("card and cap allow the listed price", None));
            }
            for blocker in money {
                if rows.iter().all(|row| row.code != Some(blocker.code())) {
                    rows.push(row(&blocker.to_string(), Some(&blocker)));
                }
            }
            let mut warnings: Vec<String> = again(tx, &project, &listing)?.into_iter().collect();
            if listing.price.is_irreversible() {
                warnings.push(format!("`{}` cannot be undone once it is bought", listing.service));
            }
            Ok(Preflight { ready: rows.iter().all(|r| r.pass), rows, warnings, cost: Some(listing.price) })
        })
        .await
}

/// A plan is for the whole account: a second one of the same kind is paid for beside the first.
fn again(tx: &mut Tx<'_>, project: &Project, listing: &Listing) -> Result<Option<String>, OpError> {
    if listing.kind != "plan" {
        return Ok(None);
    }
    let here = resource::of_organisation(tx, &project.organisation, &listing.service.provider)?;
    let first = here.iter().find(|r| r.state == State::Live && r.service == listing.service.service);
    Ok(first.map(|r| {
        format!("the organisation has this plan already (`{}` of project `{}`): another one is paid for beside it", r.name, r.project_name)
    }))
}

fn row(label: &str, blocker: Option<&dyn PublicError>) -> Row {
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
