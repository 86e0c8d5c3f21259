//! `cargo xtask gen guard` and `cargo xtask eval guard`: trains what `guard` learns of names, and measures it.
//!
//! The lists of names are not part of the repository: some are under licences of their own, and nobody needs lists of
//! phishing names beside a product. `docs/abuse.md` says where each comes from. Training draws on lines from before
//! 2025-06 only, and comes out the same byte for byte wherever it runs.

use std::path::{Path, PathBuf};

use crate::fail::{Failure, Outcome};
use crate::house::{House, Profile};
use crate::{process, progress};

const MODEL: &str = "guard/data/names.model";
const LISTS: &str = "../shared/data/abuse";

pub fn train(house: &House, lists: Option<&Path>) -> Outcome<()> {
    let model = house.root().join(MODEL);
    run(house, "train", lists, Some(&model))?;
    progress::note(&format!("{MODEL} was written anew"));
    Ok(())
}

pub fn evaluate(house: &House, lists: Option<&Path>) -> Outcome<()> {
    run(house, "evaluate", lists, None)
}

fn run(house: &House, what: &str, lists: Option<&Path>, out: Option<&Path>) -> Outcome<()> {
    let lists: PathBuf = lists.map_or_else(|| house.root().join(LISTS), Path::to_path_buf);
    let lists = lists.canonicalize().map_err(|_| {
        Failure::new(format!("there are no lists of names in `{}`", lists.display())).advise("name their folder with `--lists`")
    })?;
    let build = ["build", "--quiet", "--package", "purser-guard", "--example", "names"];
    process::loud(process::cargo().args(build).current_dir(house.root()), "building the trainer")?;
    let mut trainer = std::process::Command::new(house.binary(Profile::Development, "examples/names"));
    trainer.arg(what).arg(&lists).args(out);
    print!("{}", process::capture(&mut trainer, "running the trainer")?);
    Ok(())
}
