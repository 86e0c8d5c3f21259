//! Refusals of this crate's own use cases.

use purser_authority::Denied;
use purser_db::DbError;
use purser_identity::CallerError;
use purser_identity::approval::ApprovalError;
use purser_spend::credit::CreditError;
use purser_values::error::{Kind, PublicError};
use purser_values::id::{AlertId, BudgetId};
use purser_values::name::{DomainName, EnvironmentName, ProjectName, ProviderName, ResourceName, ServiceRef};

#[derive(Debug, thiserror::Error)]
pub enum OpError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Caller(#[from] CallerError),
    #[error(transparent)]
    Approval(#[from] ApprovalError),
    #[error(transparent)]
    Credit(#[from] CreditError),
    #[error("there is no project `{0}`")]
    ProjectUnknown(ProjectName),
    #[error("there is no provider `{0}` here")]
    ProviderUnknown(ProviderName),
    #[error("the provider `{0}` has not answered since the start; its services cannot be used yet")]
    ProviderAbsent(ProviderName),
    #[error("there is no service `{0}`")]
    ServiceUnknown(ServiceRef),
    #[error("`{0}` has no machine-readable price, and an unknown price is not paid unless a person approves that purchase")]
    PriceUnknown(ServiceRef),
    #[error("a special price is paid only when a person approves it, and the request states {amount} for `{service}`")]
    PriceSpecial { service: ServiceRef, amount: String },
    #[error("`{service}` needs a plan first: {plans}")]
    PlanRequired { service: ServiceRef, plans: String },
    #[error("`{0}` cannot be undone once bought, and the grant does not allow such purchases")]
    IrreversibleNotGranted(ServiceRef),
    #[error("the terms of `{0}` have changed since they were accepted")]
    TermsChanged(ProviderName),
    /// A budget froze the agent, and told that by this alert.
    #[error("the agent is frozen: {said}")]
    FrozenByBudget { said: String, budget: BudgetId, alert: AlertId },
    #[error("{0}, so the purchase waits for a person's yes")]
    BudgetSpent(String),
    #[error("there is a resource `{name}` in `{environment}` already")]
    NameTaken { name: ResourceName, environment: EnvironmentName },
    #[error("there is no resource `{0}` here")]
    ResourceUnknown(String),
    #[error("`{0}` cannot be done while the resource is {1}")]
    WrongState(&'static str, &'static str),
    #[error("`{service}` is not {way}")]
    Direction { service: ServiceRef, way: &'static str },
    #[error("the account at `{provider}` belongs to another organisation of this installation")]
    AccountPinned { provider: ProviderName },
    #[error("`{provider}` names another account than the one that is connected")]
    AccountChanged { provider: ProviderName },
    #[error("the script `{0}` belongs to another project")]
    ScriptTaken(ResourceName),
    #[error("`{0}` is no domain of this project")]
    DomainNotOwn(DomainName),
    #[error("there is nothing to deploy to in this environment")]
    NothingToDeployTo,
    #[error("the grant does not allow credentials in plain text")]
    ExportNotGranted,
    #[error("another request used this `Idempotency-Key`")]
    KeyReused,
    #[error("the request is not usable: {0}")]
    Invalid(String),
    #[error("a stored credential cannot be opened")]
    Vault(#[from] purser_vault::OpenError),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for OpError {
    fn code(&self) -> &'static str {
        match self {
            Self::Denied(e) => e.code(),
            Self::Caller(e) => e.code(),
            Self::Approval(e) => e.code(),
            Self::Credit(e) => e.code(),
            Self::ProjectUnknown(_) => "project_not_found",
            Self::ProviderUnknown(_) => "provider_unknown",
            Self::ProviderAbsent(_) => "provider_unavailable",
            Self::ServiceUnknown(_) => "service_unknown",
            Self::PriceUnknown(_) => "price_unknown",
            Self::PriceSpecial { .. } => "price_special",
            Self::PlanRequired { .. } => "plan_required",
            Self::IrreversibleNotGranted(_) => "irreversible_not_granted",
            Self::TermsChanged(_) => "terms_changed",
            Self::FrozenByBudget { .. } => "agent_frozen",
            Self::BudgetSpent(_) => "budget_approval_required",
            Self::NameTaken { .. } => "resource_name_taken",
            Self::ResourceUnknown(_) => "resource_not_found",
            Self::WrongState(..) => "resource_state",
            Self::Direction { .. } => "update_direction",
            Self::AccountPinned { .. } => "account_pinned_elsewhere",
            Self::AccountChanged { .. } => "account_changed",
            Self::ScriptTaken(_) => "script_of_another_project",
            Self::DomainNotOwn(_) => "domain_not_of_project",
            Self::NothingToDeployTo => "nothing_to_deploy_to",
            Self::ExportNotGranted => "export_not_granted",
            Self::KeyReused => "idempotency_key_reused",
            Self::Invalid(_) => "invalid_request",
            Self::Vault(_) => "credential_unreadable",
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Denied(e) => e.kind(),
            Self::Caller(e) => e.kind(),
            Self::Approval(e) => e.kind(),
            Self::Credit(e) => e.kind(),
            Self::ProjectUnknown(_)
            | Self::ProviderUnknown(_)
            | Self::ServiceUnknown(_)
            | Self::ResourceUnknown(_)
            | Self::NothingToDeployTo => Kind::NotFound,
            Self::ProviderAbsent(_) => Kind::Unavailable,
            Self::PriceUnknown(_)
            | Self::PriceSpecial { .. }
            | Self::IrreversibleNotGranted(_)
            | Self::TermsChanged(_)
            | Self::BudgetSpent(_)
            | Self::ExportNotGranted => Kind::NeedsPerson,
            Self::ScriptTaken(_) | Self::DomainNotOwn(_) | Self::FrozenByBudget { .. } => Kind::Forbidden,
            Self::PlanRequired { .. }
            | Self::NameTaken { .. }
            | Self::WrongState(..)
            | Self::AccountPinned { .. }
            | Self::AccountChanged { .. }
            | Self::KeyReused => Kind::Conflict,
            Self::Invalid(_) | Self::Direction { .. } => Kind::Invalid,
            Self::Store(e) => e.kind(),
            Self::Vault(_) => Kind::Internal,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Denied(e) => return e.hint(),
            Self::Caller(e) => return e.hint(),
            Self::Approval(e) => return e.hint(),
            Self::Credit(e) => return e.hint(),
            Self::ProjectUnknown(name) => format!("run `purser init {name}` in the project's folder"),
            Self::ProviderUnknown(_) | Self::ServiceUnknown(_) => "run `purser catalog` for what there is".to_owned(),
            Self::ProviderAbsent(_) => "try again in a moment".to_owned(),
            Self::PriceUnknown(_) => "ask your person: run `purser approval ask`; they say what it may cost at most".to_owned(),
            Self::PriceSpecial { .. } => "ask your person: run `purser approval ask` with exactly this `--config`".to_owned(),
            Self::PlanRequired { plans, .. } => format!("run `purser add` with one of: {plans}"),
            Self::IrreversibleNotGranted(_) => {
                "ask your person: run `purser approval ask` for this one purchase, or `purser login --irreversible` for all of them"
                    .to_owned()
            }
            Self::TermsChanged(_) => "ask your person to read and accept the new text on the terms page".to_owned(),
            Self::FrozenByBudget { .. } => "a budget froze this agent; a person can thaw it on the agents page".to_owned(),
            Self::BudgetSpent(_) => "ask your person: run `purser approval ask` for this one purchase".to_owned(),
            Self::NameTaken { .. } => "choose another name with `--name`".to_owned(),
            Self::ResourceUnknown(_) => "run `purser status` for what there is".to_owned(),
            Self::WrongState(..) => "wait for it to end, or see `purser status`".to_owned(),
            Self::Direction { .. } => "run `purser catalog` for the prices; `purser update` goes either way".to_owned(),
            Self::AccountPinned { .. } => "the operator must find out why the provider names the same account twice".to_owned(),
            Self::AccountChanged { .. } => "your person was told; connect the account again that was connected first".to_owned(),
            Self::ScriptTaken(_) => "choose another name with `--name`".to_owned(),
            Self::DomainNotOwn(_) => "register it with `purser add slipway/registrar:domain` in this project".to_owned(),
            Self::NothingToDeployTo => "run `purser add slipway/workers` first".to_owned(),
            Self::ExportNotGranted => "run `purser login --export` to ask your person for it".to_owned(),
            Self::KeyReused => "use a new key for a new request".to_owned(),
            Self::Store(e) if e.is_transient() => "repeat the request with the same `Idempotency-Key`".to_owned(),
            Self::Invalid(_) | Self::Vault(_) | Self::Store(_) => return None,
        })
    }

    fn details(&self) -> Option<serde_json::Value> {
        match self {
            Self::FrozenByBudget { budget, alert, .. } => Some(serde_json::json!({ "budget": budget, "alert": alert })),
            _ => None,
        }
    }
}

/// What can refuse while money is set aside or given back.
#[derive(Debug, thiserror::Error)]
pub enum PayError {
    #[error(transparent)]
    Op(#[from] OpError),
    #[error(transparent)]
    Hold(#[from] purser_spend::hold::HoldError),
    #[error(transparent)]
    Token(#[from] purser_spend::token::TokenError),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PayError {
    fn inner(&self) -> &dyn PublicError {
        match self {
            Self::Op(e) => e,
            Self::Hold(e) => e,
            Self::Token(e) => e,
            Self::Store(e) => e,
        }
    }
}

impl PublicError for PayError {
    fn code(&self) -> &'static str {
        self.inner().code()
    }
    fn kind(&self) -> Kind {
        self.inner().kind()
    }
    fn hint(&self) -> Option<String> {
        self.inner().hint()
    }
    fn details(&self) -> Option<serde_json::Value> {
        self.inner().details()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_store_says_what_failed() {
        for (cause, code, kind) in [
            (DbError::Full, "disk_full", Kind::Unavailable),
            (DbError::Contention, "store_unavailable", Kind::Unavailable),
            (DbError::NoRow, "internal", Kind::Internal),
        ] {
            let error = OpError::from(cause);
            assert_eq!((error.code(), error.kind()), (code, kind));
        }
    }
}
