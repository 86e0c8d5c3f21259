//! Taking in what a provider publishes.

use purser_db::{DbError, Tx, params};
use purser_values::Env;
use purser_values::name::ProviderName;

use crate::service::{Listing, Price};

/// Longest description or price in prose that is kept, in characters.
const DESCRIPTION_CHARS: usize = 400;

/// Replaces the provider's services by these; the ones that are missing now are marked as gone.
///
/// # Errors
/// When the store fails.
pub fn keep(tx: &mut Tx<'_>, env: &Env, provider: &ProviderName, display: &str, services: &[Listing]) -> Result<(), DbError> {
    let now = env.now();
    let upsert = "insert into catalogue_provider (name, display, seen_at) values ($1, $2, $3)
                  on conflict (name) do update set display = excluded.display, seen_at = excluded.seen_at";
    tx.execute(upsert, params![provider, clean(display), now])?;
    tx.execute("update catalogue_service set gone_at = $2 where provider = $1 and gone_at is null", params![provider, now])?;
    for (position, service) in (0_i64..).zip(services) {
        let mut listing = service.clone();
        listing.description = clean(&listing.description);
        if let Price::Unknown { text } = &mut listing.price {
            *text = clean(text);
        }
        let text = serde_json::to_string(&listing).map_err(|e| DbError::Other(e.to_string()))?;
        let upsert = "insert into catalogue_service (provider, service, position, listing, words, seen_at) values ($1, $2, $3, $4, $5, $6)
                      on conflict (provider, service) do update set position = excluded.position, listing = excluded.listing,
                      words = excluded.words, seen_at = excluded.seen_at, gone_at = null";
        tx.execute(upsert, params![provider, listing.service.service, position, text, words(&listing), now])?;
    }
    Ok(())
}

fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(DESCRIPTION_CHARS).collect()
}

/// What a search looks through.
fn words(listing: &Listing) -> String {
    format!("{} {} {} {}", listing.service, listing.kind, listing.categories.join(" "), listing.description).to_lowercase()
}
