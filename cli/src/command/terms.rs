//! `terms`: what was accepted, as a list or as a signed file, and checking such a file without the orchestrator.

use serde_json::{Value, json};

use super::{counted, list, text, when};
use crate::arguments::{TermsExport, TermsVerify};
use crate::context::Context;
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn list_all(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Person)?.get(&["v1", "terms"], &[]).await?;
    let row = |a: &Value| {
        vec![text(a, "provider"), text(a, "version"), when(a, "accepted_at"), text(a, "by"), text(a, "method"), text(a, "sha256")]
    };
    let rows: Vec<Vec<String>> = list(&data, "acceptances").iter().map(row).collect();
    let mut words = if rows.is_empty() {
        "Nothing was accepted yet.".to_owned()
    } else {
        screen::columns(&["provider", "version", "accepted", "by", "where", "sha256"], &[], rows)
    };
    let open: Vec<&str> = list(&data, "to_accept").iter().filter_map(Value::as_str).collect();
    if !open.is_empty() {
        words = format!("{words}\n\nchanged, nothing new there until a person accepts: {} at {}", open.join(", "), text(&data, "url"));
    }
    Ok(Success::new(data, words))
}

pub(super) async fn export(context: &Context, arguments: &TermsExport) -> Result<Success, Failure> {
    let output = context.folder.join(&arguments.output);
    crate::files::free_for(&output, arguments.force)?;
    let bundle = context.api(Who::Person)?.get(&["v1", "terms", "export"], &[]).await?;
    let written = format!("{bundle}\n");
    let checked = purser_identity::terms::terms_verify(&written, None)?;
    crate::files::write_private(&context.env, &output, written.as_bytes())?;
    let words = format!(
        "Wrote {} of {} to `{}`, signed by the key {}",
        counted(checked.acceptances, "acceptance", "acceptances"),
        counted(checked.documents, "text", "texts"),
        arguments.output.display(),
        checked.key
    );
    let data = json!({ "file": arguments.output, "verified": checked });
    Ok(Success::new(data, words).next(format!("purser terms verify {}", arguments.output.display())))
}

pub(super) fn verify(arguments: &TermsVerify) -> Result<Success, Failure> {
    let unreadable = |e: std::io::Error| {
        let failure = Failure::invalid(format!("`{}` cannot be read: {e}", arguments.file.display()));
        failure.hint("name a file that `purser terms export` wrote")
    };
    let written = std::fs::read_to_string(&arguments.file).map_err(unreadable)?;
    let checked = purser_identity::terms::terms_verify(&written, arguments.key.as_deref())?;
    let words = format!(
        "It holds: {} of {} by {}, {} of them confirmed by signed grants.\nissuer  {}\nkey     {}",
        counted(checked.acceptances, "acceptance", "acceptances"),
        counted(checked.documents, "text", "texts"),
        checked.organisation,
        checked.confirmed_by_grants,
        checked.issuer,
        checked.key
    );
    let success = Success::new(json!(checked), words);
    Ok(match &arguments.key {
        Some(_) => success,
        None => success.warn("anybody can make a key: compare it with the issuer's, or name it with `--key`"),
    })
}
