//! Telling clients of a logout: the whole of `purser serve`, and a strict client in Node that listens where the operator lets it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use purser_tests::binaries::named;

use crate::company::peers;
use crate::installation::{Installation, built, configure, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_others_wrote_hears_of_a_logout_and_finds_nothing_wrong_with_it() {
    let (Some((node, modules)), Some(purser)) = (peers(), named("PURSER_BIN", built)) else { return };
    let parent = tempfile::tempdir().unwrap();
    let (folder, listens) = (parent.path().join("one"), free_port());
    configure(&folder, free_port(), free_port());
    let path = folder.join("orchestrator.toml");
    let text = fs::read_to_string(&path).unwrap().replace("rail = true\n", "rail = true\nopen_sign_up = true\n");
    fs::write(&path, format!("fetch_allow = [\"127.0.0.1:{listens}\"]\n{text}[registration]\nopen = true\n")).unwrap();
    let installation = Installation::serve(purser, folder).await;

    let scripts = parent.path().join("referees");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("referees"), &scripts);
    symlink(modules, parent.path().join("node_modules")).unwrap();
    let mut command = Command::new(node);
    command.arg(scripts.join("relying.mjs")).arg("logout at the wish").stdin(Stdio::null());
    command.env("ISSUER", &installation.url).env("MAILBOX", installation.folder.join("mail")).env("RECEIVER_PORT", listens.to_string());
    let said = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let report = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success() && report.lines().count() == 1 && report.contains("\"ok\":true"), "{report}\n{}", installation.log());
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
