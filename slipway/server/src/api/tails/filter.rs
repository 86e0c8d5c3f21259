//! Which events a tail shows. The filters are the client's; an event is shown when all of them let it pass.

use std::net::IpAddr;

use purser_values::Env;
use serde::Deserialize;
use serde_json::Value;

use super::super::envelope::Failure;

/// Most filters of a tail, and values of one.
const FILTERS: usize = 16;
const VALUES: usize = 64;
/// By which the edge tells a Worker who its visitor is.
const VISITOR: &str = "cf-connecting-ip";
/// What stands for the address of whoever looks on.
const OWN: &str = "self";

/// One filter, as it is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The part of all events that is shown.
    SamplingRate(f64),
    Outcome(Vec<String>),
    Method(Vec<String>),
    /// The request has the header, with this text in it.
    Header {
        key: String,
        query: Option<String>,
    },
    ClientIp(Vec<String>),
    /// A log line or an exception holds the text.
    Query(String),
    #[serde(rename = "scriptVersion")]
    Version(String),
}

/// The filters of one tail.
#[derive(Debug)]
pub struct Filters(Vec<Filter>);

impl Filters {
    /// # Errors
    /// When they are more than anybody needs.
    pub fn checked(mut filters: Vec<Filter>, own: Option<IpAddr>) -> Result<Self, Failure> {
        let values = |filter: &Filter| match filter {
            Filter::Outcome(all) | Filter::Method(all) | Filter::ClientIp(all) => all.len(),
            _ => 1,
        };
        if filters.len() > FILTERS || filters.iter().any(|filter| values(filter) > VALUES) {
            return Err(Failure::invalid(format!("a tail has {FILTERS} filters at most, each of {VALUES} values")));
        }
        for filter in &mut filters {
            if let (Filter::ClientIp(all), Some(own)) = (filter, own) {
                all.iter_mut().filter(|address| address.as_str() == OWN).for_each(|address| *address = own.to_string());
            }
        }
        Ok(Self(filters))
    }

    /// Whether an event is shown.
    pub fn pass(&self, env: &Env, event: &Value) -> bool {
        self.0.iter().all(|filter| filter.passes(env, event))
    }
}

impl Filter {
    fn passes(&self, env: &Env, event: &Value) -> bool {
        let request = &event["event"]["request"];
        let one_of =
            |all: &[String], value: &Value| value.as_str().is_some_and(|text| all.iter().any(|one| one.eq_ignore_ascii_case(text)));
        match self {
            Self::SamplingRate(rate) => f64::from(u32::from_le_bytes(env.bytes())) < rate * f64::from(u32::MAX),
            Self::Outcome(all) => one_of(all, &event["outcome"]),
            Self::Method(all) => one_of(all, &request["method"]),
            Self::Header { key, query } => request["headers"].as_object().is_some_and(|headers| {
                let mut found = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(key));
                found.any(|(_, value)| query.as_deref().is_none_or(|query| value.as_str().is_some_and(|text| text.contains(query))))
            }),
            Self::ClientIp(all) => one_of(all, &request["headers"][VISITOR]),
            Self::Query(text) => holds(&event["logs"], text) || holds(&event["exceptions"], text),
            Self::Version(id) => event["scriptVersion"]["id"].as_str() == Some(id),
        }
    }
}

/// Whether a message of these holds a text.
fn holds(said: &Value, text: &str) -> bool {
    let said = said.as_array().into_iter().flatten();
    said.map(|one| &one["message"]).any(|message| match message {
        Value::Array(parts) => parts.iter().any(|part| part.as_str().map_or_else(|| part.to_string().contains(text), |p| p.contains(text))),
        Value::String(message) => message.contains(text),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::Timestamp;
    use serde_json::json;

    #[test]
    fn the_filters_of_the_client_choose_what_is_shown() {
        let (env, _) = Env::test(Timestamp::EPOCH, 1);
        let event = json!({
            "outcome": "exception",
            "scriptVersion": {"id": "one"},
            "event": {"request": {"method": "POST", "headers": {"x-a": "some value", "cf-connecting-ip": "192.0.2.7"}}},
            "logs": [{"message": ["seen", 42]}],
            "exceptions": [{"message": "it broke"}],
        });
        for (filter, shown) in [
            (json!({"sampling_rate": 1.5}), true),
            (json!({"sampling_rate": 0.0}), false),
            (json!({"outcome": ["exception", "unknown"]}), true),
            (json!({"outcome": ["ok"]}), false),
            (json!({"method": ["post"]}), true),
            (json!({"method": ["GET"]}), false),
            (json!({"header": {"key": "X-A"}}), true),
            (json!({"header": {"key": "x-a", "query": "value"}}), true),
            (json!({"header": {"key": "x-a", "query": "other"}}), false),
            (json!({"header": {"key": "x-b"}}), false),
            (json!({"client_ip": ["self"]}), true),
            (json!({"client_ip": ["192.0.2.8"]}), false),
            (json!({"query": "broke"}), true),
            (json!({"query": "see"}), true),
            (json!({"query": "42"}), true),
            (json!({"query": "absent"}), false),
            (json!({"scriptVersion": "one"}), true),
            (json!({"scriptVersion": "two"}), false),
        ] {
            let one: Filter = serde_json::from_value(filter.clone()).unwrap();
            let filters = Filters::checked(vec![one], Some("192.0.2.7".parse().unwrap())).unwrap();
            assert_eq!(filters.pass(&env, &event), shown, "{filter}");
        }
    }
}
