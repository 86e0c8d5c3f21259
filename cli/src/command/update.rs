//! `update`, `upgrade`, `downgrade`: a resource becomes another service of its provider.

use purser_values::name::{ServiceName, ServiceRef};
use serde_json::json;

use super::saga::{Ended, Patience, follow};
use super::{money, text};
use crate::arguments::Update;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};

pub(super) async fn run(context: &Context, arguments: &Update, direction: &str) -> Result<Success, Failure> {
    if arguments.service.is_none() && arguments.config.is_none() {
        return Err(Failure::invalid("there is nothing to change").hint("name a service, or give `--config`").next("purser catalog"));
    }
    let api = context.api(Who::Agent)?;
    let named = super::status::resource(context, &api, &arguments.resource).await?;
    let mut body = json!({ "direction": direction });
    if let Some(typed) = &arguments.service {
        body["service"] = json!(service(typed, &named.service)?);
    }
    if let Some(typed) = &arguments.config {
        body["configuration"] = super::add::configuration(Some(typed))?;
    }
    if let Some(approval) = &arguments.approval {
        body["approval"] = json!(approval);
    }
    let patience = Patience::new(arguments.timeout, context.global.wait);
    let answer = api.post(&["v1", "resources", &named.id, "update"], &[("wait", &patience.ask())], &body).await?;
    match follow(&api, answer, &patience).await? {
        Ended::Done(answer) => {
            let resource = &answer["resource"];
            let mut lines = vec![format!("`{}` is {} now", text(resource, "name"), text(resource, "service"))];
            if !answer["charged"].is_null() {
                lines.push(format!("charged    {} so far", money(&answer["charged"])));
            }
            if resource["irreversible"] == true {
                lines.push("this cannot be undone".to_owned());
            }
            Ok(Success::new(answer, lines.join("\n")).next("purser status"))
        }
        Ended::Running(answer) => Ok(Success::new(answer, format!("{} is still being changed.", named.words)).next("purser status")),
    }
}

/// What was typed; a service alone is one of the provider that the resource is at.
pub(super) fn service(typed: &str, at: &str) -> Result<ServiceRef, Failure> {
    let bad = |e: &dyn std::fmt::Display| Failure::invalid(e.to_string()).next("purser catalog");
    if typed.contains('/') {
        return typed.parse().map_err(|e| bad(&e));
    }
    let at: ServiceRef = at.parse().map_err(|_| Failure::invalid("name the service with its provider, as `provider/service`"))?;
    let service: ServiceName = typed.parse().map_err(|e| bad(&e))?;
    Ok(ServiceRef { provider: at.provider, service })
}

#[cfg(test)]
mod tests {
    use super::service;

    #[test]
    fn a_service_alone_is_one_of_the_same_provider() {
        for (typed, read) in [("workers:paid", "slipway/workers:paid"), ("other/gold", "other/gold")] {
            assert_eq!(service(typed, "slipway/workers:free").unwrap().to_string(), read);
        }
        assert!(service("Not A Service", "slipway/workers:free").is_err());
    }
}
