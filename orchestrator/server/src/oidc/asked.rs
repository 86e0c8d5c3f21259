//! The scope of a grant that is asked for as `authorization_details`: read by the same rules as a terminal's request.

use purser_identity::authorization::details::GrantDetails;
use purser_identity::grant_request::{AskedScope, Asker};

use super::device_authorization::{Body, asker};
use super::error::OAuthError;
use super::known;
use crate::front::Front;

pub async fn scope(front: &Front, details: &GrantDetails) -> Result<AskedScope, OAuthError> {
    let flag = |on: bool| on.then(|| "1".to_owned());
    let caps: Vec<String> = details.caps_minor.iter().map(|(provider, minor)| format!("{provider}={minor}")).collect();
    let providers = words(details.providers.as_deref())?;
    let known = known::providers(front, providers.as_deref()).await?;
    let body = Body {
        project: words(details.projects.as_deref())?,
        environments: words(details.environments.as_deref())?,
        providers,
        services: words(details.services.as_deref())?,
        actions: words(details.actions.as_deref())?,
        cap_minor: details.cap_minor,
        caps_minor: words(Some(&caps))?,
        total_minor: details.total_minor,
        export: flag(details.export),
        irreversible: flag(details.irreversible),
        delegate: flag(details.delegate),
        expires_in: details.expires_in,
        ..Body::default()
    };
    let asker = asker(known, &body)?;
    known::services(front, &asker).await?;
    match asker {
        Asker::Agent(scope) => Ok(*scope),
        Asker::Person => Err(OAuthError::invalid_request("a person's terminal does not ask this way")),
    }
}

/// The names as a form has them. One with a space in it would be read as two.
fn words(names: Option<&[String]>) -> Result<Option<String>, OAuthError> {
    match names {
        Some(names) if names.iter().any(|name| name.contains(char::is_whitespace)) => {
            Err(OAuthError::invalid_request("a name has no space in it"))
        }
        names => Ok(names.map(|names| names.join(" "))),
    }
}
