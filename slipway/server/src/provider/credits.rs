//! `credit_redeem` and `credits`: what a programme gives an account, and what is left of it.

use http::StatusCode;
use purser_provider::{AccountCall, Answer, ProviderError};
use purser_wire::credit::{CreditAttestation, Credits};
use slipway_billing::credit::get::credits as of_account;
use slipway_billing::credit::redeem::{RedeemError, credit_redeem};

use super::refusal;
use crate::cloud::Cloud;

pub async fn redeem(cloud: &Cloud, call: &AccountCall, attested: CreditAttestation) -> Answer<Credits> {
    let account = super::account_of(call)?;
    let (realm, offers, of) = (cloud.realm.clone(), cloud.offers.clone(), account.clone());
    let given = cloud.db.write(move |tx| credit_redeem(tx, &realm, &offers, &of, &attested)).await;
    let credit = given.map_err(|e| refuse(&e))?;
    tracing::info!(%account, credit = %credit.id, programme = credit.programme, amount = %credit.given, "a credit was given");
    cloud.wake_jobs.notify_one();
    list(cloud, call).await
}

pub async fn list(cloud: &Cloud, call: &AccountCall) -> Answer<Credits> {
    let (account, now) = (super::account_of(call)?, cloud.env.now());
    cloud.db.read(move |tx| of_account(tx, &account, now)).await.map_err(|e| refusal::store(&e))
}

fn refuse(e: &RedeemError) -> ProviderError {
    match e {
        RedeemError::Store(e) => refusal::store(e),
        e => ProviderError::new(StatusCode::from_u16(e.kind().http_status()).unwrap_or(StatusCode::CONFLICT), e.code(), e.to_string()),
    }
}
