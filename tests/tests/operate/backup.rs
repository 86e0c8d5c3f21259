//! A backup of what serves, and putting it back.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use purser_db::testing::Schema;
use purser_tests::binaries::named;
use purser_tests::processes;

use super::installation::{Installation, built, configure, configure_on, free_port};

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

    // It is known at its own address, and at another one only where that is said.
    let text = fs::read_to_string(&config).unwrap();
    let (exit, moved) = installation.run(&["check-config", &config]);
    assert!(exit == 2 && moved.to_string().contains(&format!("known as `{}`", installation.url)), "{moved}");
    let (exit, moved) = installation.run(&["serve", "--config", &config]);
    assert!(exit == 2 && moved.to_string().contains("public_url_was"), "{moved}");
    let (exit, moved) = installation.run(&["keys", "list", "--config", &config]);
    assert!(exit != 0 && moved.to_string().contains("public_url_was"), "{moved}");
    fs::write(&config, format!("public_url_was = \"{}\"\n{text}", installation.url)).unwrap();
    let (exit, said) = installation.run(&["check-config", &config]);
    assert_eq!(exit, 0, "{said}");

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

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_on_postgresql_is_taken_under_load_and_is_put_back_into_an_empty_database_only() {
    let Some(purser) = named("PURSER_BIN", built) else { return };
    let (Some(here), Some(there)) = (Schema::make().await, Schema::make().await) else { return };
    let place = tempfile::tempdir().unwrap();
    let (one, other, backup) = (place.path().join("one"), place.path().join("other"), place.path().join("backup"));
    configure_on(&one, free_port(), free_port(), &here.url);
    let installation = Installation::serve(purser.clone(), one).await;
    installation.owner("ada").await;
    await_checkpoint(&installation).await;

    // the operator stops the owner and lets them go on, all the while and from several shells at once
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let (stop, purser, config) = (stop.clone(), purser.clone(), installation.config());
            std::thread::spawn(move || {
                let mut done = 0;
                for verb in ["disable", "enable"].into_iter().cycle() {
                    if stop.load(Ordering::Relaxed) {
                        return done;
                    }
                    let ran =
                        Command::new(&purser).args(["--json", "person", verb, "ada@example.test", "--config", &config]).output().unwrap();
                    done += usize::from(ran.status.success());
                }
                done
            })
        })
        .collect();
    let counted =
        async || installation.run(&["audit", "verify", "--config", &installation.config()]).1["data"]["entries"].as_i64().unwrap();
    let before = counted().await;
    let to = backup.display().to_string();
    processes::until("some writes", Duration::from_secs(30), async || (counted().await > before + 3).then_some(())).await;
    let (exit, taken) = installation.run(&["backup", "--config", &installation.config(), "--output", &to]);
    assert_eq!(exit, 0, "{taken}");
    let tables = taken["data"]["tables"].as_array().unwrap();
    assert!(tables.len() > 20 && tables.iter().any(|t| t["table"] == "audit_event"), "{taken}");
    let at_backup = counted().await;
    processes::until("more writes", Duration::from_secs(30), async || (counted().await > at_backup + 3).then_some(())).await;
    stop.store(true, Ordering::Relaxed);
    assert!(busy.into_iter().map(|shell| shell.join().unwrap()).sum::<usize>() > 6);
    let kek = fs::read_to_string(installation.folder.join("keys/kek.hex")).unwrap();
    for (path, bytes) in processes::files_below(&backup) {
        assert!(!path.ends_with("kek.hex") && !String::from_utf8_lossy(&bytes).contains(kek.trim()), "{}", path.display());
    }

    configure_on(&other, free_port(), free_port(), &there.url);
    let config = other.join("orchestrator.toml").display().to_string();
    let restore = |config: &str| installation.run(&["restore", "--config", config, "--from", &to]);
    folder_for_keys(&other);
    write_private(&other.join("keys/kek.hex"), &"ab".repeat(32));
    let (exit, refused) = restore(&config);
    assert_eq!((exit, refused["error"]["code"].as_str()), (6, Some("backup_key_wrong")), "{refused}");
    write_private(&other.join("keys/kek.hex"), &kek);
    let (exit, restored) = restore(&config);
    assert_eq!(exit, 0, "a refused restore left something behind? {restored}");
    let entries = restored["data"]["log"]["entries"].as_i64().unwrap();
    assert!(before < entries && entries <= at_backup, "{before} < {entries} <= {at_backup}");
    let (exit, verified) = installation.run(&["audit", "verify", "--config", &config]);
    assert_eq!((exit, verified["data"]["entries"].as_i64()), (0, Some(entries)), "{verified}");
    fs::remove_dir_all(other.join("data/audit")).unwrap();
    let (exit, refused) = restore(&config);
    assert_eq!((exit, refused["error"]["code"].as_str()), (6, Some("backup_place_taken")), "{refused}");
    // a backup does not move to the other kind of database
    let sqlite = place.path().join("sqlite");
    configure(&sqlite, free_port(), free_port());
    let (exit, refused) = restore(&sqlite.join("orchestrator.toml").display().to_string());
    assert_eq!((exit, refused["error"]["code"].as_str()), (2, Some("backup_other_engine")), "{refused}");

    copy_audit(&backup, &other);
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("public_url_was = \"{}\"\n{text}", installation.url)).unwrap();
    let (exit, enabled) = installation.run(&["person", "enable", "ada@example.test", "--config", &config]);
    assert_eq!(exit, 0, "{enabled}");
    let restored = Installation::serve(installation.purser(), other).await;
    let page = restored.person("ada").open("/organisation").await;
    assert!(page.text().contains("owner of ada@example.test"), "{}", page.text());
    drop((restored, installation));
    here.remove().await;
    there.remove().await;
}

/// The checkpoint of the backup, as the restore had put it there.
fn copy_audit(backup: &Path, installation: &Path) {
    fs::create_dir_all(installation.join("data/audit")).unwrap();
    for name in ["checkpoint.jws", "checkpoint-key.json"] {
        fs::copy(backup.join("audit").join(name), installation.join("data/audit").join(name)).unwrap();
    }
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
