//! `domain_resume`: finish what a crash left open. Run on start and now and then.

use purser_db::DbError;

use crate::domain::Domain;
use crate::domain::register::{RegisterError, settle};
use crate::registrar::Registrar;
use crate::store;

/// The most registrations that one run takes up.
const BATCH: u32 = 100;

/// Asks the registry again for every registration without an outcome and returns those that have one now, refused ones included.
///
/// # Errors
/// When the store fails; a registry without an answer is logged and tried again by the next run.
pub async fn domain_resume(registrar: &Registrar) -> Result<Vec<Domain>, DbError> {
    let mut settled = Vec::new();
    for domain in registrar.db.read(|tx| store::pending(tx, BATCH)).await? {
        let id = domain.id.clone();
        match settle(registrar, domain).await {
            Err(RegisterError::Unavailable(why)) => tracing::warn!(domain = %id, %why, "a registration is still open"),
            Err(RegisterError::Store(e)) => return Err(e),
            Ok(_) | Err(_) => settled.extend(registrar.db.read(move |tx| store::by_id(tx, &id)).await?),
        }
    }
    Ok(settled)
}
