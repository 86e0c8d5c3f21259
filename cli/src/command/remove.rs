//! `remove`: give a resource back.

use serde_json::json;

use super::saga::{Ended, Patience, follow};
use crate::arguments::Resource;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};

pub(super) async fn run(context: &Context, arguments: &Resource) -> Result<Success, Failure> {
    let api = context.api(Who::Agent)?;
    let named = super::status::resource(context, &api, &arguments.resource).await?;
    context.confirm(&format!("Remove {}? Its credentials stop working.", named.words))?;
    let patience = Patience::new(arguments.timeout, context.global.wait);
    let answer = api.post(&["v1", "resources", &named.id, "remove"], &[("wait", &patience.ask())], &json!({})).await?;
    match follow(&api, answer, &patience).await? {
        Ended::Done(answer) => {
            Ok(Success::new(answer, format!("{} is removed; its credentials are refused.", named.words)).next("purser status"))
        }
        Ended::Running(answer) => Ok(Success::new(answer, format!("{} is still being removed.", named.words)).next("purser status")),
    }
}
