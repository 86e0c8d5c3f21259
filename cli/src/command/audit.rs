//! `audit verify`: check the log of a data folder, without the orchestrator and without trusting its database.

use purser_values::error::Kind;
use serde_json::json;

use crate::context::Context;
use crate::outcome::{Failure, Success};

pub(super) async fn verify(context: &Context) -> Result<Success, Failure> {
    let missing = || Failure::new(Kind::Invalid, "DATA_FOLDER_UNKNOWN", "no data folder is named").hint("name it with `--data DIR`");
    let folder = context.global.data.clone().or_else(crate::up::usual_folder).ok_or_else(missing)?;
    let report = purser_audit::verify_offline(&folder, purser_identity::grant::consent_in_event).await?;
    let vouched = report.checkpoint.map_or_else(String::new, |seq| format!("; the signed checkpoint vouches for {seq}"));
    let signed = match report.signed_by_persons {
        0 => String::new(),
        n => format!("; {n} signed by persons, each signature holds"),
    };
    let text = format!("The log is as it was written: {} entries{vouched}{signed}.", report.entries);
    Ok(Success::new(json!(report), text))
}
