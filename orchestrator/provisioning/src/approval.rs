//! Asking for a person's yes to one exact request, and what that request is in every domain's words.
//!
//! INVARIANT (approval-binds): [`add_request`] composes the canonical text both when the approval is asked for and when it is
//! used, from the request and from what is true then: the price, the payer, the agent and its grant. What has changed in
//! between is another request.

use purser_authority::action::{ApprovalRequest, ResourceAdd, ResourceUpdate};
use purser_authority::{Attempt, Caller, Denied, authorise};
use purser_catalogue::{Listing, Period, Price};
use purser_db::{DbError, Tx};
use purser_identity::approval::{self, Approval, ApprovalError, Ask, Every};
use purser_identity::{CallContext, CallerError, standing};
use purser_spend::{Spender, cap, method};
use purser_values::Timestamp;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{ApprovalId, ResourceId};
use serde_json::{Value, json};

use crate::app::App;
use crate::error::OpError;
use crate::perform;
use crate::resource::add::AddRequest;
use crate::resource::check::{by_approval, check, facts};
use crate::resource::update::{Change, UpdateRequest, change};
use crate::resource::{own, permit_on};
use crate::store::project;
use crate::store::resource::Resource;

/// The verb of an approval to add a resource.
pub const ADD: &str = "resource_add";
/// The verb of an approval to turn one into another service.
pub const UPDATE: &str = "resource_update";

#[derive(Debug, thiserror::Error)]
pub enum ApprovalAskError {
    #[error(transparent)]
    Op(#[from] OpError),
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<Denied> for ApprovalAskError {
    fn from(e: Denied) -> Self {
        Self::Op(e.into())
    }
}

impl From<CallerError> for ApprovalAskError {
    fn from(e: CallerError) -> Self {
        Self::Op(e.into())
    }
}

impl ApprovalAskError {
    const fn public(&self) -> &dyn PublicError {
        match self {
            Self::Op(e) => e,
            Self::Approval(e) => e,
            Self::Db(e) => e,
        }
    }
}

impl PublicError for ApprovalAskError {
    fn code(&self) -> &'static str {
        self.public().code()
    }
    fn kind(&self) -> Kind {
        self.public().kind()
    }
    fn hint(&self) -> Option<String> {
        self.public().hint()
    }
    fn details(&self) -> Option<Value> {
        self.public().details()
    }
}

/// Asks for a yes to adding this resource. Whatever else stands against it is said first: nobody is asked in vain.
///
/// # Errors
/// The first blocker that an approval cannot clear, or too many requests that wait.
pub async fn approval_ask(
    app: &App,
    caller: &Caller,
    request: AddRequest,
    reason: String,
    second_person: bool,
) -> Result<Approval, ApprovalAskError> {
    let (app_in, caller_in) = (app.clone(), caller.clone());
    perform(&app.core, Attempt::new("approval_request", caller, request.service.to_string()), move |tx| {
        let (app, caller, now) = (&app_in, &caller_in, app_in.core.env.now());
        let standing = standing(tx, now, caller)?;
        let subject = request.service.to_string();
        let permit = authorise::<ApprovalRequest>(caller, &facts(&standing, now, &request, &subject))?;
        authorise::<ResourceAdd>(caller, &facts(&standing, now, &request, &subject)).map(drop)?;
        let organisation = caller.organisation().ok_or(Denied::Anonymous)?;
        let project =
            project::by_name(tx, organisation, &request.project)?.ok_or_else(|| OpError::ProjectUnknown(request.project.clone()))?;
        let checked = check(tx, app, &request, &project, standing.grant.as_ref())?;
        let in_the_way = checked.blockers.into_iter().find(|blocker| !by_approval(blocker));
        if let Some(blocker) = in_the_way {
            return Err(blocker.into());
        }
        let listing = checked.listing.ok_or_else(|| OpError::ServiceUnknown(request.service.clone()))?;
        let ask = Ask {
            verb: ADD.to_owned(),
            request: add_request(tx, &standing, &request, &listing)?,
            summary: format!("add {} in {}/{}: {}", request.service, request.project, request.environment, price(&listing.price)),
            facts: room(tx, caller, &request, now)?,
            reason: reason.clone(),
            second_person,
            open_price: matches!(listing.price, Price::Unknown { .. }),
        };
        let realm = &app.realm;
        Ok(approval::approval_request(tx, realm, &permit, &ask)?)
    })
    .await
}

/// Asks for a yes to turning a resource into something dearer. What no approval clears is said first.
///
/// # Errors
/// As [`approval_ask`].
pub async fn approval_ask_change(
    app: &App,
    caller: &Caller,
    id: ResourceId,
    request: UpdateRequest,
    reason: String,
    second_person: bool,
) -> Result<Approval, ApprovalAskError> {
    let (app_in, caller_in) = (app.clone(), caller.clone());
    perform(&app.core, Attempt::new("approval_request", caller, id.as_str()), move |tx| {
        let (app, caller, now) = (&app_in, &caller_in, app_in.core.env.now());
        let row = own(tx, caller, &id)?;
        let standing = standing(tx, now, caller)?;
        let permit = permit_on::<ApprovalRequest>(&standing, &row, now)?;
        permit_on::<ResourceUpdate>(&standing, &row, now).map(drop)?;
        // As with the yes that is asked for here.
        let with_yes = UpdateRequest { approval: Some(ApprovalId::mint(&app.core.env)), ..request.clone() };
        let change = change(tx, app, &standing, &row, &with_yes)?;
        if !change.dearer {
            return Err(OpError::Invalid(format!("turning `{}` into {} needs no approval", row.name, change.listing.service)).into());
        }
        let to = &change.listing;
        let ask = Ask {
            verb: UPDATE.to_owned(),
            request: change_request(tx, &standing, &row, &change)?,
            summary: format!("turn {} ({}) into {}: {}", row.name, row.service_ref(), to.service, price(&to.price)),
            facts: room(tx, caller, &change.as_add, now)?,
            reason: reason.clone(),
            second_person,
            open_price: false,
        };
        Ok(approval::approval_request(tx, &app.realm, &permit, &ask)?)
    })
    .await
}

/// The canonical text of changing a resource: that of adding what it becomes, and what it is now.
pub(crate) fn change_request(tx: &mut Tx<'_>, standing: &CallContext, row: &Resource, change: &Change) -> Result<String, OpError> {
    let mut text: Value =
        serde_json::from_str(&add_request(tx, standing, &change.as_add, &change.listing)?).map_err(|e| OpError::Invalid(e.to_string()))?;
    text["verb"] = json!(UPDATE);
    text["resource"] = json!(row.id);
    text["from"] = json!(row.service_ref());
    Ok(purser_wire::canonical::json(&text))
}

/// The canonical text of adding a resource: every fact that a person says yes to.
pub(crate) fn add_request(tx: &mut Tx<'_>, standing: &CallContext, request: &AddRequest, listing: &Listing) -> Result<String, OpError> {
    let caller = &standing.caller;
    let organisation = caller.organisation().ok_or(Denied::Anonymous)?;
    let grant = if let Caller::Agent { grant, .. } = caller { Some(grant) } else { None };
    let payer = method::current(tx, organisation)?.map(|m| json!({"payment_method": m.id, "brand": m.brand, "last4": m.last4}));
    Ok(purser_wire::canonical::json(&json!({
        "verb": ADD,
        "organisation": organisation,
        "person": caller.person(),
        "agent": caller.agent(),
        "grant": grant,
        "through": caller.chain(),
        "project": request.project,
        "environment": request.environment,
        "provider": request.service.provider,
        "service": request.service,
        "name": request.name,
        "configuration": request.configuration,
        "price": listing.price,
        "payer": payer,
    })))
}

/// The price of a purchase whose own price is prose: what the person who approved it said that it may cost at most. Nothing is known
/// of what comes back, so it cannot be undone.
pub(crate) fn at_most(tx: &mut Tx<'_>, now: Timestamp, id: &ApprovalId) -> Result<Option<Price>, DbError> {
    let most = approval::find(tx, id, now)?.and_then(|found| found.most);
    Ok(most.map(|most| Price::Known {
        amount: most.amount,
        period: match most.period {
            Every::Once => Period::Once,
            Every::Month => Period::Month,
            Every::Year => Period::Year,
        },
        unit: None,
        refundable: false,
        irreversible: true,
        metered: Vec::new(),
    }))
}

/// What is left where the purchase would count, for the page.
fn room(tx: &mut Tx<'_>, caller: &Caller, request: &AddRequest, now: Timestamp) -> Result<Value, DbError> {
    let (Some(organisation), Some(agent)) = (caller.organisation(), caller.agent()) else { return Ok(Value::Null) };
    let spender = Spender { organisation: organisation.clone(), agent: agent.clone() };
    let view = cap::at(tx, &spender, &request.service.provider, now.month())?;
    Ok(json!({ "room": view.map(|v| json!({"cap": v.cap, "left": v.left, "month": v.month.to_string()})) }))
}

/// A price in words.
#[must_use]
pub fn price(price: &Price) -> String {
    match price {
        Price::Free => "free".to_owned(),
        Price::Included => "included in a plan".to_owned(),
        Price::Unknown { .. } => "not known: its provider gives it as text only".to_owned(),
        Price::Known { amount, period, irreversible, metered, .. } => {
            let again = match period {
                Period::Once => "once",
                Period::Month => "every month",
                Period::Year => "every year",
            };
            let use_too = if metered.is_empty() { "" } else { ", and what use costs beyond what that includes, within the caps" };
            format!("at most {amount} {again}{use_too}{}", if *irreversible { ", cannot be undone" } else { "" })
        }
    }
}
