//! Extension: stop one agent's credentials or a whole account, and let them go on. All four are idempotent by nature.

use axum::extract::{Request, State};
use http::StatusCode;
use purser_wire::control::{AccountControl, AgentControl, ControlReceipt, ControlStatus};
use purser_wire::error::Envelope;

use super::{Handled, Shared, resources, to_the_end};
use crate::provider::Provider;
use crate::reply::{InEnvelope as _, json};
use crate::store::Store;

const ENVELOPE: Envelope = Envelope::Status;

fn receipt(status: ControlStatus, credentials: u64) -> axum::response::Response {
    json(StatusCode::OK, &ControlReceipt { status, credentials })
}

pub async fn disable<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, received) = resources::enter(&sdk, request).await?;
    let body: AgentControl = resources::read(&received).envelope(ENVELOPE)?;
    to_the_end(ENVELOPE, async move {
        let count = sdk.provider.credentials_disable(&call, body).await.envelope(ENVELOPE)?;
        Ok(receipt(ControlStatus::Disabled, count))
    })
    .await
}

pub async fn enable<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, received) = resources::enter(&sdk, request).await?;
    let body: AgentControl = resources::read(&received).envelope(ENVELOPE)?;
    to_the_end(ENVELOPE, async move {
        let count = sdk.provider.credentials_enable(&call, body).await.envelope(ENVELOPE)?;
        Ok(receipt(ControlStatus::Enabled, count))
    })
    .await
}

pub async fn freeze<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, received) = resources::enter(&sdk, request).await?;
    let body: AccountControl = resources::read(&received).envelope(ENVELOPE)?;
    to_the_end(ENVELOPE, async move {
        sdk.provider.account_freeze(&call, body).await.envelope(ENVELOPE)?;
        Ok(receipt(ControlStatus::Frozen, 0))
    })
    .await
}

pub async fn thaw<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, _) = resources::enter(&sdk, request).await?;
    to_the_end(ENVELOPE, async move {
        sdk.provider.account_thaw(&call).await.envelope(ENVELOPE)?;
        Ok(receipt(ControlStatus::Thawed, 0))
    })
    .await
}
