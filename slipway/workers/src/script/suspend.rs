//! `account_suspend`: an account's sites go off line, or come back.

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::rollout::refused;
use crate::store::account;
use crate::workers::Workers;

impl Workers {
    /// The accounts whose sites are off line.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn suspended(&self) -> Result<Vec<CloudAccountId>, WorkersError> {
        let all = self.0.db.read(account::all).await?;
        Ok(all.into_iter().filter(|row| row.suspended).map(|row| row.account).collect())
    }

    /// Takes all sites of an account off line (visitors get 403) and stops its code, or brings both back. Nothing is deleted.
    ///
    /// # Errors
    /// When the store fails, and then nothing was changed; or when the code does not start again, and then it stays off line.
    pub async fn account_suspend(&self, account: &CloudAccountId, suspended: bool) -> Result<(), WorkersError> {
        self.account(account).await?;
        let id = account.clone();
        self.0.db.write(move |tx| account::set_suspended(tx, &id, suspended)).await?;
        self.0.runtime.set_suspended(account, suspended).await.map_err(refused)
    }
}
