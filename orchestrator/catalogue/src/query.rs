//! Finding services.

use purser_db::{DbError, Tx, params};
use purser_values::name::ServiceRef;

use crate::service::{Listing, ProviderListing};
use crate::store::read;

/// Most words of one search.
const SEARCH_WORDS: usize = 8;

/// One service that is on offer now.
///
/// # Errors
/// When the store fails.
pub fn get(tx: &mut Tx<'_>, service: &ServiceRef) -> Result<Option<Listing>, DbError> {
    let select = "select listing from catalogue_service where provider = $1 and service = $2 and gone_at is null";
    tx.query_opt(select, params![service.provider, service.service])?.map(|row| read(&row)).transpose()
}

/// All services on offer, or those of a provider or category.
///
/// # Errors
/// When the store fails.
pub fn list(tx: &mut Tx<'_>, filter: Option<&str>) -> Result<Vec<Listing>, DbError> {
    let select = "select listing from catalogue_service where gone_at is null order by provider, position";
    let all = tx.query(select, params![])?.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(match filter {
        None => all,
        Some(filter) => all
            .into_iter()
            .filter(|l| {
                l.service.provider.as_str() == filter || l.service.to_string() == filter || l.categories.iter().any(|c| c == filter)
            })
            .collect(),
    })
}

/// Services that hold every word of the query, those that name it in their id first.
///
/// # Errors
/// When the store fails.
pub fn search(tx: &mut Tx<'_>, query: &str) -> Result<Vec<Listing>, DbError> {
    let wanted: Vec<String> = query.split_whitespace().take(SEARCH_WORDS).map(str::to_lowercase).collect();
    let select = "select listing, words from catalogue_service where gone_at is null order by provider, position";
    let mut found = Vec::new();
    for row in tx.query(select, params![])? {
        let words: String = row.get("words")?;
        if wanted.iter().all(|word| words.contains(word.as_str())) {
            let listing = read(&row)?;
            let in_id = wanted.iter().filter(|word| listing.service.to_string().contains(word.as_str())).count();
            found.push((in_id, listing));
        }
    }
    found.sort_by_key(|(in_id, _)| std::cmp::Reverse(*in_id));
    Ok(found.into_iter().map(|(_, listing)| listing).collect())
}

/// The providers that have been seen, by name.
///
/// # Errors
/// When the store fails.
pub fn providers(tx: &mut Tx<'_>) -> Result<Vec<ProviderListing>, DbError> {
    let rows = tx.query("select name, display from catalogue_provider order by name", params![])?;
    rows.iter().map(|row| Ok(ProviderListing { name: row.parse("name")?, display: row.get("display")? })).collect()
}
