//! What the runtime refuses, with the numeric codes that Cloudflare's clients branch on (cloud-api.md 2.8).

use purser_db::DbError;

/// A refusal of any use case of this crate.
#[derive(Debug, thiserror::Error)]
pub enum WorkersError {
    #[error("this Worker does not exist on your account; check its name")]
    ScriptNotFound,
    #[error("this version does not exist, or belongs to another Worker")]
    VersionNotFound,
    #[error("this deployment does not exist, or belongs to another Worker")]
    DeploymentNotFound,
    #[error("this domain is not connected to a Worker of this account")]
    DomainNotFound,
    #[error("this route does not exist in this zone")]
    RouteNotFound,
    #[error("the zone has a route with this pattern; change that one")]
    RouteExists,
    #[error("there is no secret `{0}`")]
    SecretNotFound(String),
    #[error("the newest version of this Worker is not deployed; deploy it first, or store the secret in a new version")]
    NewestNotDeployed,
    /// Going back to an older version would also change these secrets. Clients read the names after the last colon.
    #[error(
        "this version is older than what is live and has other secrets; repeat with force to go back. The following secrets have changed: {0}"
    )]
    SecretsChanged(String),
    #[error("the account has no subdomain; register one first")]
    NoSubdomain,
    #[error("the subdomain `{0}` belongs to another account; choose another")]
    SubdomainTaken(String),
    /// The code or its metadata cannot be run. The text is for the uploader and may quote workerd.
    #[error("{0}")]
    Invalid(String),
    #[error("{0}")]
    TooLarge(String),
    #[error("inherit binding '{0}' is invalid: the previous version has no binding of that name")]
    Inherit(String),
    #[error("{0}")]
    BadRequest(String),
    #[error("the asset session is not valid or has expired; start the upload again")]
    AssetSession,
    /// What the caller may do ended before the change was made.
    #[error("the token is disabled; the person it acts for can enable it")]
    Stopped,
    #[error("{0}")]
    Asset(String),
    #[error("`{0}` is connected to another Worker; repeat with override to move it")]
    DomainConflict(String),
    #[error("`{0}` is in use by `{1}`; delete it with force to break the binding")]
    InUse(String, String),
    #[error("the account has its {0} Workers; delete one first")]
    TooManyScripts(i64),
    #[error(
        "the account's plan runs Workers of {0} environments, each in a process of its own, so `{1}` cannot be another; deploy to one that is there, delete the Workers of one, or take a larger plan"
    )]
    TooManyEnvironments(u32, String),
    /// Nobody calls its code until there is room again.
    #[error("the account has used all that is included and set aside for its use")]
    UsedUp,
    /// This host does not run Workers at present. The reason is for the operator's log and the uploader alike.
    #[error("Workers cannot be run on this host: {0}")]
    Unavailable(String),
    /// The store or the disk failed. Never shown in detail.
    #[error("the request could not be carried out; try again")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What a caller does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    NotFound,
    Invalid,
    TooLarge,
    Conflict,
    Unauthorised,
    Forbidden,
    Unavailable,
    Internal,
}

impl WorkersError {
    /// The number in Cloudflare's envelope.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::ScriptNotFound | Self::NoSubdomain => 10_007,
            Self::VersionNotFound => 10_091,
            Self::DeploymentNotFound => 10_093,
            Self::SecretNotFound(_) => 10_056,
            Self::NewestNotDeployed => 10_215,
            Self::SecretsChanged(_) => 10_220,
            Self::DomainNotFound => 100_114,
            Self::RouteNotFound => 10_009,
            Self::RouteExists => 10_020,
            Self::SubdomainTaken(_) => 10_031,
            Self::Invalid(_) => 10_021,
            Self::TooLarge(_) => 10_027,
            Self::Inherit(_) => 10_057,
            Self::BadRequest(_) => 10_001,
            Self::AssetSession | Self::Stopped => 10_000,
            Self::Asset(_) => 10_304,
            Self::DomainConflict(_) => 100_116,
            Self::InUse(..) => 10_064,
            Self::TooManyScripts(_) | Self::TooManyEnvironments(..) => 10_037,
            Self::UsedUp => 10_402,
            Self::Unavailable(_) => 10_013,
            Self::Internal(_) => 10_013,
        }
    }

    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::ScriptNotFound
            | Self::VersionNotFound
            | Self::DeploymentNotFound
            | Self::DomainNotFound
            | Self::RouteNotFound
            | Self::SecretNotFound(_)
            | Self::NoSubdomain => Kind::NotFound,
            Self::Invalid(_) | Self::Inherit(_) | Self::BadRequest(_) | Self::Asset(_) => Kind::Invalid,
            Self::TooManyScripts(_) | Self::TooManyEnvironments(..) => Kind::Invalid,
            Self::TooLarge(_) => Kind::TooLarge,
            Self::SubdomainTaken(_)
            | Self::DomainConflict(_)
            | Self::InUse(..)
            | Self::NewestNotDeployed
            | Self::RouteExists
            | Self::SecretsChanged(_) => Kind::Conflict,
            Self::AssetSession => Kind::Unauthorised,
            Self::Stopped | Self::UsedUp => Kind::Forbidden,
            Self::Unavailable(_) => Kind::Unavailable,
            Self::Internal(_) => Kind::Internal,
        }
    }

    pub(crate) fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }
}

impl From<DbError> for WorkersError {
    fn from(e: DbError) -> Self {
        Self::internal(e)
    }
}

impl From<std::io::Error> for WorkersError {
    fn from(e: std::io::Error) -> Self {
        Self::internal(e)
    }
}
