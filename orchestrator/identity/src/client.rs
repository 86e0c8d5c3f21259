//! OAuth clients: software that asks a person for a sign-on or for a grant, and how each proves who it is.
//!
//! A client comes in one of four ways ([`Trust`]): from the operator's configuration, by a person for an organisation, by registering
//! itself (RFC 7591), or by an https URL that is its name and holds its metadata (Client ID Metadata Documents). Where it came from
//! decides what it may be: a stranger gets no scope but those that a person is asked for.

pub mod assertion;
pub mod document;
mod find;
mod id;
mod keys;
mod manage;
mod metadata;
pub mod redirect_uri;
mod register;

pub(crate) use find::is_removed;
pub use find::{Listed, client_find, clients_list};
pub use id::ClientId;
pub use keys::KeySet;
pub use manage::{ManageError, Managed, client_delete, client_read, client_remove, client_update};
pub use metadata::{AuthMethod, ClientMetadata, GrantType, MetadataError, RawMetadata, TokenAlgorithm};
pub use redirect_uri::RedirectUri;
pub use register::{RegisterError, Registered, Registration, client_register};

use purser_crypto::{constant_time_eq, token};
use purser_values::id::OrganisationId;
use purser_values::{Secret, Sha256Digest};

/// Who answers for a client, most trusted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The operator wrote it into the configuration.
    Operator,
    /// A person made it for their organisation.
    Organisation,
    /// It registered itself with a token that the operator handed out.
    Token,
    /// It registered itself. Nobody knows it.
    Open,
    /// It registered itself in a sandbox, where nothing is real.
    Sandbox,
    /// It is what the document at its URL says.
    Document,
}

impl Trust {
    const ALL: [Self; 6] = [Self::Operator, Self::Organisation, Self::Token, Self::Open, Self::Sandbox, Self::Document];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Organisation => "organisation",
            Self::Token => "token",
            Self::Open => "open",
            Self::Sandbox => "sandbox",
            Self::Document => "document",
        }
    }

    /// Whether it may have tokens of its own, without a person. They carry no right over anything of a person's, but they are
    /// signed by us and name an audience, so a stranger gets none.
    #[must_use]
    pub const fn may_act_alone(self) -> bool {
        matches!(self, Self::Operator | Self::Organisation | Self::Token | Self::Sandbox)
    }

    /// Whether it may have scopes that mean something to others.
    #[must_use]
    pub const fn may_have_any_scope(self) -> bool {
        matches!(self, Self::Operator)
    }
}

impl std::str::FromStr for Trust {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|trust| trust.name() == text).ok_or_else(|| format!("`{text}` is no trust in a client"))
    }
}

#[derive(Clone, Debug)]
pub struct Client {
    pub id: ClientId,
    pub trust: Trust,
    /// The organisation that it was made for.
    pub organisation: Option<OrganisationId>,
    pub metadata: ClientMetadata,
    pub secret_hash: Option<Sha256Digest>,
}

impl Client {
    /// What it calls itself, or where it lives. Nobody has verified the former.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.client_name.as_deref().unwrap_or_else(|| self.id.as_str())
    }

    #[must_use]
    pub fn may(&self, grant: GrantType) -> bool {
        self.metadata.grant_types.contains(&grant)
    }

    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.metadata.token_endpoint_auth_method != AuthMethod::None
    }

    /// Compares digests, in constant time. Secrets of ours carry 256 random bits, so a plain SHA-256 is enough.
    #[must_use]
    pub fn has_secret(&self, given: &Secret<String>) -> bool {
        let given = token::hash(given.expose());
        self.secret_hash.is_some_and(|hash| constant_time_eq(hash.as_bytes(), given.as_bytes()))
    }
}
