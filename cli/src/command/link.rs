//! `link`: connect an account at a provider before anything is bought there.

use purser_values::name::ProviderName;
use serde_json::{Value, json};

use super::saga::{Ended, Patience, follow};
use super::text;
use crate::arguments::Link;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};

pub(super) async fn run(context: &Context, arguments: &Link) -> Result<Success, Failure> {
    let provider: ProviderName = arguments.provider.parse().map_err(|e| Failure::invalid(format!("{e}")).next("purser catalog"))?;
    let mut body = json!({ "provider": provider });
    if let Some(typed) = &arguments.information {
        let value: Option<Value> = serde_json::from_str(typed).ok().filter(Value::is_object);
        body["information"] = value.ok_or_else(|| {
            Failure::invalid("`--information` is not a JSON object").hint("for example: `--information '{\"region\":\"EU\"}'`")
        })?;
    }
    let api = context.api(Who::Agent)?;
    let patience = Patience::new(arguments.timeout, context.global.wait);
    let answer = api.post(&["v1", "accounts"], &[("wait", &patience.ask())], &body).await?;
    Ok(match follow(&api, answer, &patience).await? {
        Ended::Done(answer) => {
            let said = format!("The account at `{provider}` is connected: {}", text(&answer["account"], "id"));
            Success::new(answer, said).next("purser catalog")
        }
        Ended::Running(answer) => Success::new(answer, "The provider is still being asked.").next("purser status"),
    })
}
