//! `rotate`: new credentials for a resource; the old ones stop.

use serde_json::json;

use super::saga::{Ended, Patience, follow};
use crate::arguments::Resource;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};

pub(super) async fn run(context: &Context, arguments: &Resource) -> Result<Success, Failure> {
    let api = context.api(Who::Agent)?;
    let named = super::status::resource(context, &api, &arguments.resource).await?;
    let patience = Patience::new(arguments.timeout, context.global.wait);
    let answer = api.post(&["v1", "resources", &named.id, "rotate"], &[("wait", &patience.ask())], &json!({})).await?;
    let success = match follow(&api, answer, &patience).await? {
        Ended::Done(answer) => Success::new(answer, format!("{} has new credentials; the old ones are refused.", named.words)),
        Ended::Running(answer) => {
            Success::new(answer, format!("The credentials of {} are still being replaced.", named.words)).next("purser status")
        }
    };
    Ok(success.next("purser env --pull"))
}
