//! `remove`: give a resource back, at once or when its paid period ends.

use serde_json::json;

use super::saga::{Ended, Patience, follow};
use super::when;
use crate::arguments::Remove;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};

pub(super) async fn run(context: &Context, arguments: &Remove) -> Result<Success, Failure> {
    if arguments.at_period_end || arguments.keep {
        return end(context, arguments).await;
    }
    let api = context.api(Who::Agent)?;
    let named = super::status::resource(context, &api, &arguments.resource.resource).await?;
    context.confirm(&format!("Remove {}? Its credentials stop working.", named.words))?;
    let patience = Patience::new(arguments.resource.timeout, context.global.wait);
    let answer = api.post(&["v1", "resources", &named.id, "remove"], &[("wait", &patience.ask())], &json!({})).await?;
    match follow(&api, answer, &patience).await? {
        Ended::Done(answer) => {
            Ok(Success::new(answer, format!("{} is removed; its credentials are refused.", named.words)).next("purser status"))
        }
        Ended::Running(answer) => Ok(Success::new(answer, format!("{} is still being removed.", named.words)).next("purser status")),
    }
}

/// With its period, or not even then.
async fn end(context: &Context, arguments: &Remove) -> Result<Success, Failure> {
    let api = context.api(Who::Either)?;
    let named = super::status::resource(context, &api, &arguments.resource.resource).await?;
    let patience = Patience::new(arguments.resource.timeout, context.global.wait);
    let body = json!({ "keep": arguments.keep });
    let answer = api.post(&["v1", "resources", &named.id, "end"], &[("wait", &patience.ask())], &body).await?;
    let said = |answer: &serde_json::Value| match (arguments.keep, answer["resource"]["ends_at"].is_null()) {
        (true, _) => format!("{} goes on after its period.", named.words),
        (false, false) => format!("{} ends at {}; nothing more is paid for it.", named.words, when(&answer["resource"], "ends_at")),
        (false, true) => format!("{} ends with the period that is paid.", named.words),
    };
    match follow(&api, answer, &patience).await? {
        Ended::Done(answer) => {
            let said = said(&answer);
            Ok(Success::new(answer, said).next("purser status"))
        }
        Ended::Running(answer) => {
            Ok(Success::new(answer, "The provider has not answered yet; it is asked until it does.").next("purser status"))
        }
    }
}
