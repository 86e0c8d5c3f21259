//! A backup of what serves, and putting it back.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use super::installation::{Installation, configure, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_what_serves_is_put_back_elsewhere_verifies_and_serves() {
    let Some(installation) = Installation::start().await else { return };
    let mut ada = installation.owner("ada").await;
    let place = tempfile::tempdir().unwrap();
    let backup = place.path().join("backup");
    let to = backup.display().to_string();
    await_checkpoint(&installation).await;
    let (exit, taken) = installation.run(&["backup", "--config", &installation.config(), "--to", &to]);
    assert_eq!(exit, 0, "{taken}");
    // No key is in it, and it verifies as it lies there (on a copy: opening a database touches its files).
    for (path, bytes) in purser_tests::processes::files_below(&backup) {
        let kek = fs::read_to_string(installation.folder.join("keys/kek.hex")).unwrap();
        assert!(!path.ends_with("kek.hex") && !String::from_utf8_lossy(&bytes).contains(kek.trim()), "{}", path.display());
    }
    let (exit, again) = installation.run(&["backup", "--config", &installation.config(), "--to", &to]);
    assert_eq!((exit, again["error"]["code"].as_str()), (6, Some("backup_place_taken")), "{again}");
    // What happens afterwards is not in it.
    ada.browser.open("/agents").await;

    let other = place.path().join("other");
    configure(&other, free_port(), free_port());
    let config = other.join("orchestrator.toml").display().to_string();
    let restore = || installation.run(&["restore", "--config", &config, "--from", &to]);
    let (exit, refused) = restore();
    assert_eq!((exit, refused["error"]["code"].as_str()), (5, Some("backup_key_missing")), "{refused}");
    folder_for_keys(&other);
    let kek = other.join("keys/kek.hex");
    write_private(&kek, &"ab".repeat(32));
    let (exit, refused) = restore();
    assert_eq!((exit, refused["error"]["code"].as_str()), (6, Some("backup_key_wrong")), "{refused}");
    assert!(!other.join("data/purser.db").exists(), "a refused restore left a database");
    write_private(&kek, &fs::read_to_string(installation.folder.join("keys/kek.hex")).unwrap());
    let (exit, restored) = restore();
    assert_eq!(exit, 0, "{restored}");
    assert!(restored["data"]["log"]["entries"].as_i64().unwrap() >= 2, "{restored}");
    let (exit, verified) = installation.run(&["--data", &other.join("data").display().to_string(), "audit", "verify"]);
    assert_eq!(exit, 0, "{verified}");
    let (exit, refused) = restore();
    assert_eq!((exit, refused["error"]["code"].as_str()), (6, Some("backup_place_taken")), "{refused}");

    let restored = Installation::serve(installation.purser(), other).await;
    let mut ada = restored.person("ada");
    let page = ada.open("/organisation").await;
    assert!(page.text().contains("owner of ada@example.test"), "{}", page.text());
    assert!(!restored.log().contains("first owner"), "a restored installation offers itself to anybody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_changed_is_not_put_back() {
    let Some(installation) = Installation::start().await else { return };
    installation.owner("ada").await;
    let place = tempfile::tempdir().unwrap();
    let (backup, other) = (place.path().join("backup"), place.path().join("other"));
    let to = backup.display().to_string();
    await_checkpoint(&installation).await;
    installation.run(&["backup", "--config", &installation.config(), "--to", &to]);
    configure(&other, free_port(), free_port());
    folder_for_keys(&other);
    write_private(&other.join("keys/kek.hex"), &fs::read_to_string(installation.folder.join("keys/kek.hex")).unwrap());
    let database = backup.join("purser.db");
    let mut bytes = fs::read(&database).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&database, bytes).unwrap();
    let config = other.join("orchestrator.toml").display().to_string();
    let (exit, refused) = installation.run(&["restore", "--config", &config, "--from", &to]);
    assert_eq!((exit, refused["error"]["code"].as_str()), (6, Some("backup_changed")), "{refused}");
    fs::remove_file(backup.join("backup.json")).unwrap();
    let (exit, refused) = installation.run(&["restore", "--config", &config, "--from", &to]);
    assert_eq!((exit, refused["error"]["code"].as_str()), (5, Some("backup_unfinished")), "{refused}");
}

fn folder_for_keys(installation: &Path) {
    fs::DirBuilder::new().mode(0o700).create(installation.join("keys")).unwrap();
}

/// It is signed beside the requests, and a busy disk takes its time.
async fn await_checkpoint(installation: &Installation) {
    let path = installation.folder.join("data/audit/checkpoint.jws");
    purser_tests::processes::until("a checkpoint", std::time::Duration::from_secs(30), async || path.exists().then_some(())).await;
}

fn write_private(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
