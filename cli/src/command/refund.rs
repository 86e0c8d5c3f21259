//! `refund`: money is asked back for what nobody wants any more, and every request is kept with its answer.

use serde_json::{Value, json};

use super::saga::{Ended, Patience, follow};
use super::{list, money, text, when};
use crate::arguments::RefundRequest;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn request(context: &Context, arguments: &RefundRequest) -> Result<Success, Failure> {
    let api = context.api(Who::Either)?;
    let named = super::status::resource(context, &api, &arguments.resource).await?;
    context.confirm(&format!("Ask money back for {}? Where the provider gives it back, it is removed.", named.words))?;
    let patience = Patience::new(arguments.timeout, context.global.wait);
    let body = json!({ "reason": arguments.reason });
    let answer = api.post(&["v1", "resources", &named.id, "refund_request"], &[("wait", &patience.ask())], &body).await?;
    let answer = match follow(&api, answer, &patience).await? {
        Ended::Done(answer) => answer,
        Ended::Running(answer) => {
            return Ok(Success::new(answer, "The provider has not answered yet; it is asked until it does.").next("purser refund list"));
        }
    };
    let asked = &answer["refund_request"];
    let said = if asked["refunded"] == true {
        format!("{} of {} comes back; it is removed.", money(&asked["amount"]), named.words)
    } else {
        let until = if asked["deadline"].is_null() {
            String::new()
        } else {
            format!(" It could have been had back until {}.", when(asked, "deadline"))
        };
        format!("{} is not refundable, and goes on.{until}", named.words)
    };
    Ok(Success::new(answer, said).next("purser refund list"))
}

pub(super) async fn list_all(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Either)?.get(&["v1", "refund_requests"], &[]).await?;
    let rows: Vec<Vec<String>> = list(&data, "refund_requests").iter().map(row).collect();
    let said = if rows.is_empty() { "Nothing was asked back.".to_owned() } else { screen::table(&rows) };
    Ok(Success::new(data, said))
}

fn row(request: &Value) -> Vec<String> {
    let amount = if request["amount"].is_null() { "-".to_owned() } else { money(&request["amount"]) };
    let until = if request["deadline"].is_null() { "-".to_owned() } else { when(request, "deadline") };
    let mut row = vec![when(request, "asked_at"), text(request, "provider")];
    row.extend([text(request, "state").replace('_', " "), amount, until, text(request, "resource"), text(request, "reason")]);
    row
}
