//! The providers that a grant can be asked for.
//!
//! A provider is known once its catalogue has been read. Right after the first start it has not been read yet: who asks then waits
//! for it a little, and is not told that what the operator has configured does not exist.

use std::time::{Duration, Instant};

use purser_identity::grant_request::Asker;
use purser_values::error::{Kind, PublicError};
use purser_values::name::{ProviderName, ServiceRef};

use super::error::OAuthError;
use crate::front::Front;

/// Time for which a request waits for the first reading of a catalogue.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// How much alike two names must be for one to be offered for the other.
const ALIKE: f32 = 0.6;

#[derive(Debug, thiserror::Error)]
#[error("no provider's catalogue has been read yet")]
struct CatalogueNotRead;

impl PublicError for CatalogueNotRead {
    fn code(&self) -> &'static str {
        "catalogue_not_read"
    }

    fn kind(&self) -> Kind {
        Kind::Unavailable
    }

    fn hint(&self) -> Option<String> {
        Some("try again in some seconds; if it stays so, the operator's log says why a provider cannot be read".to_owned())
    }
}

/// Those that are known now, once all of `wanted` are (names as a form has them; none means all that are configured).
pub async fn providers(front: &Front, wanted: Option<&str>) -> Result<Vec<ProviderName>, OAuthError> {
    let wanted: Vec<&str> = wanted.unwrap_or_default().split_ascii_whitespace().collect();
    let awaited: Vec<&ProviderName> = front.configured.iter().filter(|name| wanted.is_empty() || wanted.contains(&name.as_str())).collect();
    let begun = Instant::now();
    loop {
        let listed = front.core.db.read(purser_catalogue::providers).await?;
        let known: Vec<ProviderName> = listed.into_iter().map(|provider| provider.name).collect();
        let late = begun.elapsed() >= PATIENCE;
        if late && known.is_empty() && !awaited.is_empty() {
            return Err(CatalogueNotRead.into());
        }
        if late || awaited.iter().all(|name| known.contains(name)) {
            return Ok(known);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Refuses services that no provider offers: no person is troubled with what they could only deny.
pub async fn services(front: &Front, asker: &Asker) -> Result<(), OAuthError> {
    let Asker::Agent(asked) = asker else { return Ok(()) };
    let named: Vec<&ServiceRef> = asked.services.named().collect();
    if named.is_empty() {
        return Ok(());
    }
    let listed = front.core.db.read(|tx| purser_catalogue::list(tx, None)).await?;
    match named.into_iter().find(|service| !listed.iter().any(|listing| listing.service == **service)) {
        None => Ok(()),
        Some(unknown) => {
            let offered: Vec<String> = listed.iter().map(|listing| listing.service.to_string()).collect();
            Err(OAuthError::new(
                "invalid_scope",
                format!("the service `{unknown}` is not offered here{}", instead(&unknown.to_string(), &offered)),
            ))
        }
    }
}

/// What may have been meant, as the end of a sentence.
pub fn instead(given: &str, known: &[String]) -> String {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let close = similar::get_close_matches(given, &known, 1, ALIKE);
    close.first().map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default()
}
