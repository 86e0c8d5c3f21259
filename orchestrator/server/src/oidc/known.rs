//! The providers that a grant can be asked for.
//!
//! A provider is known once its catalogue has been read. Right after the first start it has not been read yet: who asks then waits
//! for it a little, and is not told that what the operator has configured does not exist.

use std::time::{Duration, Instant};

use purser_values::error::{Kind, PublicError};
use purser_values::name::ProviderName;

use super::error::OAuthError;
use crate::front::Front;

/// Time for which a request waits for the first reading of a catalogue.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(100);

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
