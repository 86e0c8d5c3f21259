//! Pinned Python packages: a requirements file with digests becomes a folder under `target/peers`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::fail::{Context, Failure, Outcome};
use crate::house::House;
use crate::{process, progress};

const STAMP: &str = ".installed";

/// Installs what `tests/peers/NAME/requirements.txt` pins, and gives the folder to put on `PYTHONPATH`.
pub fn install(house: &House, name: &str) -> Outcome<PathBuf> {
    let requirements = house.root().join("tests/peers").join(name).join("requirements.txt");
    let wanted = fs::read_to_string(&requirements).context(|| format!("reading `{}`", requirements.display()))?;
    let folder = house.peers().join(name);
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == wanted) {
        return Ok(folder);
    }
    let python = process::on_path("python3").ok_or_else(|| {
        Failure::new("Python 3 is not on PATH").advise("install Python 3.11 with pip; it runs an independent OAuth client in the tests")
    })?;
    progress::step(&format!("fetch {name} with pip, digests checked"), || {
        let partial = PathBuf::from(format!("{}.partial", folder.display()));
        for old in [&partial, &folder] {
            if old.exists() {
                fs::remove_dir_all(old).context(|| format!("removing `{}`", old.display()))?;
            }
        }
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--require-hashes",
            "--only-binary=:all:",
            "--target",
        ]);
        pip.arg(&partial).arg("--requirement").arg(&requirements);
        process::capture(&mut pip, "installing Python packages")
            .map_err(|failure| failure.advise("pip must be installed (`python3 -m pip --version`) and must reach its package registry"))?;
        fs::write(partial.join(STAMP), &wanted).context(|| "writing the stamp".to_owned())?;
        fs::rename(&partial, &folder).context(|| format!("moving `{}` into place", folder.display()))
    })?;
    Ok(folder)
}
