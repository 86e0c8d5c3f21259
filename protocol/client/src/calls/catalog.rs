//! Health and catalogue.

use purser_wire::catalog::{Service, Services};
use purser_wire::health::Health;
use purser_wire::limits;

use crate::client::{ProviderClient, With};
use crate::error::CallError;

impl ProviderClient {
    /// # Errors
    /// See [`CallError`].
    pub async fn health(&self) -> Result<Health, CallError> {
        self.get(&self.at(&["health"])?, With::default()).await
    }

    /// The whole catalogue, all pages.
    ///
    /// # Errors
    /// See [`CallError`]; a catalogue without end is garbage.
    pub async fn services(&self) -> Result<Vec<Service>, CallError> {
        let mut all = Vec::new();
        let mut url = self.at(&["services"])?;
        for _ in 0..limits::CATALOG_PAGES {
            let page: Services = self.get(&url, With::default()).await?;
            all.extend(page.data);
            if all.len() > limits::SERVICES {
                break;
            }
            match page.next_cursor.filter(|cursor| !cursor.is_empty()) {
                None => return Ok(all),
                Some(cursor) => {
                    url.query_pairs_mut().clear().append_pair("cursor", &cursor);
                }
            }
        }
        let why = format!("the catalogue has more than {} pages or {} services", limits::CATALOG_PAGES, limits::SERVICES);
        Err(CallError::Garbage { why, received: format!("{} services", all.len()) })
    }
}
