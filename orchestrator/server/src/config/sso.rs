//! `[[sign_in.sso]]`: the companies through which people sign in.

use std::path::{Path, PathBuf};

use purser_authority::Role;
use purser_http::Origin;
use purser_identity::sso::{Connection, RoleRule};
use purser_values::Secret;
use purser_values::id::OrganisationId;
use purser_values::name::{ConnectionName, HostName};
use serde::Deserialize;
use url::Url;

use crate::sso::{ClientAuth, SsoClient};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInConfig {
    #[serde(default)]
    pub sso: Vec<SsoConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SsoConfig {
    /// For addresses of ours: `/sign-in/sso/NAME/callback` is what the company registers.
    pub name: ConnectionName,
    /// What people call it; the name without it.
    pub label: Option<String>,
    /// As its metadata write it, with the slash at its end or without.
    pub issuer: String,
    pub client_id: String,
    pub client_secret_file: Option<PathBuf>,
    /// Prove ourselves with our own key, from our key set, instead of a secret.
    #[serde(default)]
    pub private_key_jwt: bool,
    /// Scopes besides `openid email`, such as one that brings groups.
    #[serde(default)]
    pub scopes: Vec<String>,
    pub allowed_domains: Vec<HostName>,
    #[serde(default)]
    pub required: bool,
    /// The id of the organisation that its people join. Names are not unique, so a name does not do.
    pub organisation: Option<OrganisationId>,
    #[serde(default = "groups")]
    pub groups_claim: String,
    pub default_role: Option<Role>,
    /// Whether it can be asked anew who somebody is, and says when it did.
    #[serde(default = "yes")]
    pub confirms: bool,
    #[serde(default)]
    pub role: Vec<RoleConfig>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoleConfig {
    pub group: String,
    pub role: Role,
}

const fn yes() -> bool {
    true
}

fn groups() -> String {
    "groups".to_owned()
}

impl SsoConfig {
    #[must_use]
    pub fn connection(&self) -> Connection {
        Connection {
            name: self.name.clone(),
            label: self.label.clone().unwrap_or_else(|| self.name.to_string()),
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            domains: self.allowed_domains.clone(),
            required: self.required,
            organisation: self.organisation.clone(),
            groups_claim: self.groups_claim.clone(),
            roles: self.role.iter().map(|rule| RoleRule { group: rule.group.clone(), role: rule.role }).collect(),
            default_role: self.default_role,
            confirms: self.confirms,
        }
    }

    /// How we ask; `read_secret` reads the file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn client<E>(&self, read_secret: impl Fn(&Path) -> Result<Secret<String>, E>) -> Result<SsoClient, E> {
        let auth = match &self.client_secret_file {
            Some(path) => ClientAuth::Secret(read_secret(path)?),
            None => ClientAuth::OwnKey,
        };
        Ok(SsoClient { auth, scopes: self.scopes.clone() })
    }

    /// The issuer's origin, which may be private: the operator named it.
    #[must_use]
    pub fn origin(&self) -> Option<Origin> {
        Origin::of(&Url::parse(&self.issuer).ok()?)
    }

    /// What is wrong with it, besides what can be read.
    fn why_not(&self, sandbox: bool) -> Option<&'static str> {
        let Ok(url) = Url::parse(&self.issuer) else { return Some("`issuer` is not a URL") };
        let origin = Origin::of(&url);
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        let secure = url.scheme() == "https" && !origin.as_ref().is_some_and(Origin::is_this_machine);
        let scope = |text: &String| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\');
        match () {
            () if origin.is_none() || !bare => Some("`issuer` is an address without a user, a query or a fragment"),
            () if !(secure || (sandbox && matches!(url.scheme(), "http" | "https"))) => {
                Some("`issuer` is https and not this machine, outside the sandbox")
            }
            () if self.client_id.is_empty() => Some("`client_id` is empty"),
            () if self.client_secret_file.is_some() == self.private_key_jwt => {
                Some("it has a `client_secret_file` or `private_key_jwt = true`, and not both")
            }
            () if self.allowed_domains.is_empty() => Some("`allowed_domains` is empty: it may vouch for nobody"),
            () if !self.scopes.iter().all(scope) => Some("`scopes` is a list of single words"),
            () if self.organisation.is_none() && !(self.role.is_empty() && self.default_role.is_none()) => {
                Some("roles go with an `organisation`")
            }
            () if self.default_role == Some(Role::Owner) => Some("`default_role` makes no owners: map a group"),
            () => None,
        }
    }
}

impl SignInConfig {
    /// Everything for which the file is refused: the name of the connection, and why.
    #[must_use]
    pub fn refusals(&self, sandbox: bool) -> Vec<(ConnectionName, &'static str)> {
        let mut found: Vec<_> = self.sso.iter().filter_map(|one| Some((one.name.clone(), one.why_not(sandbox)?))).collect();
        for (at, one) in self.sso.iter().enumerate() {
            let before = self.sso.iter().take(at);
            let mut refuse = |why| found.push((one.name.clone(), why));
            if before.clone().any(|other| other.name == one.name) {
                refuse("its name is another's too");
            }
            if before.clone().any(|other| other.issuer == one.issuer) {
                refuse("its issuer is another's too: one connection for each issuer");
            }
            let claims = |other: &SsoConfig| other.required && other.allowed_domains.iter().any(|d| one.allowed_domains.contains(d));
            if one.required && before.clone().any(claims) {
                refuse("another one is required for its domain too");
            }
        }
        found
    }
}
