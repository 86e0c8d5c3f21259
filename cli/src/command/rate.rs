//! `billing rate`: by which stated rates prices in other currencies count against limits. Only an owner states them.

use purser_values::{Currency, Timestamp};
use serde_json::{Value, json};

use super::{list, text, when};
use crate::arguments::RateSet;
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn show(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Either)?.get(&["v1", "rates"], &[]).await?;
    let row = |rate: &Value| {
        let points = rate["deviation_bp"].as_i64().unwrap_or(0);
        vec![
            format!("1 {} = {} {}", text(rate, "from"), text(rate, "rate"), text(rate, "to")),
            format!("at most {}.{:02} % more", points / 100, points % 100),
            if rate["in_force"] == true { "in force".to_owned() } else { "not in force".to_owned() },
            when(rate, "valid_until"),
            text(rate, "source"),
        ]
    };
    let rows: Vec<Vec<String>> = list(&data, "rates").iter().map(row).collect();
    let said = if rows.is_empty() {
        "No rate is stated: a price in another currency than a limit's is refused.".to_owned()
    } else {
        screen::columns(&["rate", "deviation", "state", "until", "source"], &[], rows)
    };
    Ok(Success::new(data, said))
}

pub(super) async fn set(context: &Context, arguments: &RateSet) -> Result<Success, Failure> {
    let currency = |text: &str| text.parse::<Currency>().map_err(|e| Failure::invalid(e.to_string()));
    let (from, to) = (currency(&arguments.from)?, currency(&arguments.to)?);
    let until = arguments.until.as_deref().map(moment).transpose()?;
    let body = json!({
        "from": from, "to": to, "rate": arguments.rate, "deviation_bp": arguments.deviation,
        "source": arguments.source.clone().unwrap_or_default(), "valid_until": until,
    });
    if std::env::var_os(crate::context::PERSON_TOKEN).is_none() {
        return super::billing::refused_rate(context, body).await;
    }
    let data = context.api(Who::Person)?.put(&["v1", "rates"], &body).await?;
    let said = match &arguments.rate {
        Some(rate) => format!("1 {from} counts as {rate} {to} from now on, and what it may be dearer."),
        None => format!("The rate from {from} to {to} is taken back."),
    };
    Ok(Success::new(data, said).next("purser billing rate show"))
}

/// A moment, or a day of UTC, which is meant to its end.
fn moment(typed: &str) -> Result<Timestamp, Failure> {
    let day = format!("{typed}T00:00:00Z").parse::<Timestamp>().map(|day| day.plus_secs(86_400));
    day.or_else(|_| typed.parse()).map_err(|_| Failure::invalid(format!("`{typed}` is not a time")).hint("write it as `2026-12-31`"))
}
