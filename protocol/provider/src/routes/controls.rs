//! Extension: stop one agent's credentials or a whole account, and let them go on. All four are idempotent by nature.
//!
//! INVARIANT (control-order): of the controls of one subject (an agent in an account, or the account) over one link, none is carried out after
//! one of a higher number. Two orchestrators of one account count for themselves. The number is noted before the provider acts, and both happen under one lock of the account, so that two calls that come
//! together act in the order of their numbers or the lower one not at all. A provider of several processes keeps to it in its own
//! transaction: it is given the number.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use purser_wire::control::{AccountControl, AgentControl, ControlOrder, ControlReceipt, ControlStatus};
use purser_wire::error::Envelope;

use super::{Handled, Sdk, Shared, resources, to_the_end};
use crate::call::AccountCall;
use crate::error::ProviderError;
use crate::provider::Provider;
use crate::reply::{InEnvelope as _, json};
use crate::store::Store;

const ENVELOPE: Envelope = Envelope::Status;

/// What the numbers of a whole account are noted under; no agent has such an id.
const ACCOUNT: &str = "";

pub async fn disable<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, received) = resources::enter(&sdk, request).await?;
    let body: AgentControl = resources::read(&received).envelope(ENVELOPE)?;
    to_the_end(ENVELOPE, async move {
        let (subject, order) = (body.agent.id.to_string(), body.order);
        in_order(&sdk, &call, subject, order, ControlStatus::Disabled, sdk.provider.credentials_disable(&call, body)).await
    })
    .await
}

pub async fn enable<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, received) = resources::enter(&sdk, request).await?;
    let body: AgentControl = resources::read(&received).envelope(ENVELOPE)?;
    to_the_end(ENVELOPE, async move {
        let (subject, order) = (body.agent.id.to_string(), body.order);
        in_order(&sdk, &call, subject, order, ControlStatus::Enabled, sdk.provider.credentials_enable(&call, body)).await
    })
    .await
}

pub async fn freeze<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, received) = resources::enter(&sdk, request).await?;
    let body: AccountControl = resources::read(&received).envelope(ENVELOPE)?;
    to_the_end(ENVELOPE, async move {
        let act = async { sdk.provider.account_freeze(&call, body).await.map(|()| 0) };
        in_order(&sdk, &call, ACCOUNT.to_owned(), body.order, ControlStatus::Frozen, act).await
    })
    .await
}

pub async fn thaw<P: Provider, S: Store>(State(sdk): State<Shared<P, S>>, request: Request) -> Handled {
    let (call, received) = resources::enter(&sdk, request).await?;
    let body: AccountControl = resources::read(&received).envelope(ENVELOPE)?;
    to_the_end(ENVELOPE, async move {
        let act = async { sdk.provider.account_thaw(&call).await.map(|()| 0) };
        in_order(&sdk, &call, ACCOUNT.to_owned(), body.order, ControlStatus::Thawed, act).await
    })
    .await
}

/// Acts, unless a later decision was taken already.
async fn in_order<P: Provider, S: Store>(
    sdk: &Sdk<P, S>,
    call: &AccountCall,
    subject: String,
    order: Option<ControlOrder>,
    status: ControlStatus,
    act: impl Future<Output = Result<u64, ProviderError>> + Send,
) -> Result<Response, crate::reply::Refusal> {
    let lock = sdk.locks.of(format!("control/{}", call.account));
    let _alone = lock.lock().await;
    if let Some(order) = order {
        let subject = call.link.as_ref().map_or_else(|| subject.clone(), |link| format!("{link}/{subject}"));
        let later = sdk.store.control_begin(call.account.clone(), subject, order).await.envelope(ENVELOPE)?;
        if later.is_some() {
            let receipt = ControlReceipt { status: ControlStatus::Superseded, credentials: 0, order: later };
            return Ok(json(StatusCode::OK, &receipt));
        }
    }
    let credentials = act.await.envelope(ENVELOPE)?;
    Ok(json(StatusCode::OK, &ControlReceipt { status, credentials, order }))
}
