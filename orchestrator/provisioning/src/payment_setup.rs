//! A person puts a payment method on file, on a page of the rail's.

use purser_authority::action::PaymentMethodSet;
use purser_authority::{Attempt, Caller, Facts, authorise};
use purser_spend::method::setup::{self, Setup, SetupState};
use purser_spend::method::{MethodError, PaymentMethod};
use purser_spend::rail::{SetupOrder, SetupPage};
use purser_values::error::{Kind, PublicError};
use purser_values::id::{OrganisationId, PaymentSetupId};

use crate::charges::Rails;
use crate::core::Core;
use crate::perform;

#[derive(Debug, thiserror::Error)]
pub enum SettingUpError {
    #[error(transparent)]
    Method(#[from] MethodError),
    #[error("the payment rail gave no answer; try again")]
    Rail,
    #[error("this installation has no payment rail on which a card can be set up")]
    NoRail,
}

impl PublicError for SettingUpError {
    fn code(&self) -> &'static str {
        match self {
            Self::Method(e) => e.code(),
            Self::Rail => "rail_unavailable",
            Self::NoRail => "rail_unknown",
        }
    }
    fn kind(&self) -> Kind {
        match self {
            Self::Method(e) => e.kind(),
            Self::Rail => Kind::Unavailable,
            Self::NoRail => Kind::NotFound,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Method(e) => e.hint(),
            Self::Rail => None,
            Self::NoRail => Some("whoever runs it can name one in its configuration".to_owned()),
        }
    }
}

/// Opens the rail's page. `back` gives, for the setup's id, where the rail sends the person afterwards.
///
/// # Errors
/// When the caller may not, or the rail gives no answer.
pub async fn setup_begin(
    core: &Core,
    rails: &Rails,
    caller: &Caller,
    organisation: &OrganisationId,
    back: impl FnOnce(&PaymentSetupId) -> String,
) -> Result<SetupPage, SettingUpError> {
    let rail = rails.main().and_then(|name| rails.find(name)).ok_or(SettingUpError::NoRail)?;
    let (env, who, whose, name) = (core.env.clone(), caller.clone(), organisation.clone(), rail.name());
    let id = perform(core, Attempt::new("payment_method_set", caller, organisation.as_str()), move |tx| {
        let facts = Facts { owner: Some(&whose), ..Facts::new(env.now(), whose.as_str()) };
        let permit = authorise::<PaymentMethodSet>(&who, &facts).map_err(MethodError::from)?;
        setup::open(tx, &env, &permit, &whose, name)
    })
    .await?;
    let order = SetupOrder { setup: id.clone(), organisation: organisation.clone(), back: back(&id) };
    let page = rail.set_up(&order).await.map_err(|e| {
        tracing::warn!(setup = %id, error = %e, "the rail opened no page");
        SettingUpError::Rail
    })?;
    let reference = page.reference.clone();
    core.db.write(move |tx| setup::opened(tx, &id, &reference)).await.map_err(MethodError::from)?;
    Ok(page)
}

/// Asks the rail what became of a setup, and adds the method when the person has done it.
///
/// # Errors
/// When the rail gives no answer, or one that cannot be used.
pub async fn setup_settle(core: &Core, rails: &Rails, id: &PaymentSetupId) -> Result<Option<PaymentMethod>, SettingUpError> {
    let of = id.clone();
    let found = core.db.read(move |tx| setup::find(tx, &of)).await.map_err(MethodError::from)?;
    let Some(Setup { rail, reference: Some(reference), state: SetupState::Open, .. }) = found else { return Ok(None) };
    let rail = rails.find(&rail).ok_or(SettingUpError::NoRail)?;
    let outcome = rail.set_up_outcome(&reference).await.map_err(|e| {
        tracing::warn!(setup = %id, error = %e, "the rail does not say what became of a setup");
        SettingUpError::Rail
    })?;
    let (env, of) = (core.env.clone(), id.clone());
    let attempt = Attempt::new("payment_method_set", &Caller::System, id.as_str());
    Ok(perform(core, attempt, move |tx| setup::finish(tx, &env, &of, &outcome)).await?)
}
