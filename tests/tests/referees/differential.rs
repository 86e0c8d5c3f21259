//! The same requests to our server and to `oidc-provider`. Where the verdicts differ, `docs/protocol-notes.md` says why; a
//! difference that is not written down fails, and so does one that is written down and no longer there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::bench::Bench;

/// The issue asks for at least this many; the scripts have more.
const LEAST: usize = 150;

#[derive(Debug, Deserialize)]
struct Row {
    row: String,
    ours: String,
    theirs: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_gets_the_same_verdict_unless_the_notes_say_why() {
    let Some(bench) = Bench::start().await else { return };
    let report = bench.node("differential.mjs", &[]).await;
    let rows: Vec<Row> = report.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    assert!(rows.len() >= LEAST, "only {} requests were compared", rows.len());
    let broken: Vec<&Row> = rows.iter().filter(|row| row.ours.starts_with('(') || row.theirs.starts_with('(')).collect();
    assert!(broken.is_empty(), "these requests could not be made: {broken:#?}");

    let justified = justified();
    let mut wrong = Vec::new();
    for row in &rows {
        let verdicts = (row.ours.clone(), row.theirs.clone());
        match justified.get(&row.row) {
            None if row.ours != row.theirs => wrong.push(format!("differs: {} | ours `{}` | theirs `{}`", row.row, row.ours, row.theirs)),
            Some(written) if *written != verdicts => {
                wrong.push(format!("written {written:?}, found {verdicts:?}: {}", row.row));
            }
            _ => {}
        }
    }
    for name in justified.keys().filter(|name| !rows.iter().any(|row| row.row == **name)) {
        wrong.push(format!("written down, but nobody asks: {name}"));
    }
    assert!(wrong.is_empty(), "{} of {} requests:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// The table of differences: request, our verdict, theirs, why.
fn justified() -> BTreeMap<String, (String, String)> {
    let notes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol-notes.md");
    let text = fs::read_to_string(&notes).unwrap();
    let table = text.split("## Where we answer otherwise").nth(1).expect("the notes have the table");
    let mut found = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| request") && !line.starts_with("|--")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, ours, theirs, why] = cells[..] else { panic!("not four cells: {line}") };
        assert!(why.len() > 20, "no reason is given: {line}");
        let verdict = |cell: &str| cell.trim_matches('`').to_owned();
        assert!(found.insert(name.to_owned(), (verdict(ours), verdict(theirs))).is_none(), "twice: {name}");
    }
    found
}
