//! `purser check-config`.

use std::fs;

use super::installation::Installation;

#[tokio::test(flavor = "multi_thread")]
async fn a_good_configuration_passes_and_a_bad_one_is_told_everything_at_once() {
    let Some(installation) = Installation::start().await else { return };
    let (exit, good) = installation.run(&["check-config", &installation.config()]);
    assert_eq!((exit, &good["data"]["problems"]), (0, &serde_json::json!([])), "{good}");
    let bad = installation.folder.join("bad.toml");
    fs::write(&bad, "profile = \"production\"\nlisten = \"x\"\ncolour = 1\n[mail]\nfolder = \"/tmp\"\n[sandbox]\nrail = true\n").unwrap();
    let (exit, found) = installation.run(&["check-config", &bad.display().to_string()]);
    let problems = found["error"]["details"]["problems"].to_string();
    assert_eq!(exit, 2, "{found}");
    for part in ["`listen`", "`colour`", "`public_url` is missing", "`database` is missing", "mail.folder", "sandbox.rail"] {
        assert!(problems.contains(part), "nothing about {part}: {problems}");
    }
    let (exit, absent) = installation.run(&["check-config", "/nowhere/orchestrator.toml"]);
    assert_eq!(exit, 2, "{absent}");
}
