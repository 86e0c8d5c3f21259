//! `backup` and `restore`: a copy of an installation while it serves, and putting one back.

use purser_server::backup;
use purser_values::Env;
use serde_json::json;

use super::serve;
use crate::arguments::{Backup, Restore};
use crate::outcome::{Failure, Success};

pub(super) async fn take(arguments: &Backup) -> Result<Success, Failure> {
    let config = serve::read(&arguments.config)?;
    let manifest = backup::take(&config, &arguments.to, &Env::system()).await?;
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let text = format!(
        "{} files, {} kB, in `{}`. The keys in `{}` are not among them: keep them elsewhere.",
        manifest.files.len(),
        bytes.div_ceil(1024),
        arguments.to.display(),
        config.keys.display()
    );
    let success = Success::new(json!(manifest), text);
    // the tables of a PostgreSQL database are checked where they are put back
    Ok(if manifest.tables.is_empty() { success.next(format!("purser audit verify --data {}", arguments.to.display())) } else { success })
}

pub(super) async fn restore(arguments: &Restore) -> Result<Success, Failure> {
    let config = serve::read(&arguments.config)?;
    let restored = backup::restore(&config, &arguments.from).await?;
    let text = format!(
        "Put back as of {}: {} files. The log is as it was written: {} entries.",
        restored.taken_at.for_people(),
        restored.files,
        restored.log.entries
    );
    Ok(Success::new(json!(restored), text).next(format!("purser serve --config {}", arguments.config.display())))
}
