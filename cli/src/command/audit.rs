//! `audit verify`: check the log of a data folder or of a configuration's database, without the orchestrator and without trusting the
//! database.

use purser_audit::Report;
use purser_values::error::Kind;
use serde_json::json;

use super::serve;
use crate::arguments::AuditVerify;
use crate::context::Context;
use crate::outcome::{Failure, Success};

pub(super) async fn verify(context: &Context, arguments: &AuditVerify) -> Result<Success, Failure> {
    let report = match &arguments.config {
        Some(config) => purser_server::backup::audit_verify(&serve::read(config)?).await?,
        None => of_folder(context).await?,
    };
    let vouched = report.checkpoint.map_or_else(String::new, |seq| format!("; the signed checkpoint vouches for {seq}"));
    let signed = match report.signed_by_persons {
        0 => String::new(),
        n => format!("; {n} signed by persons, each signature holds"),
    };
    let text = format!(
        "The log is as it was written: {}{vouched}{signed}.",
        super::counted(usize::try_from(report.entries).unwrap_or_default(), "entry", "entries")
    );
    Ok(Success::new(json!(report), text))
}

async fn of_folder(context: &Context) -> Result<Report, Failure> {
    let missing = || Failure::new(Kind::Invalid, "DATA_FOLDER_UNKNOWN", "no data folder is named").hint("name it with `--data DIR`");
    let folder = context.global.data.clone().or_else(crate::up::usual_folder).ok_or_else(missing)?;
    Ok(purser_audit::verify_offline(&folder, purser_identity::grant::consent_in_event).await?)
}
