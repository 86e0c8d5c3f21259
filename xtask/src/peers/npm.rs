//! Pinned npm packages: a folder with `package.json` and `package-lock.json` becomes a folder under `target/peers`.
//!
//! `npm ci` checks the integrity of every archive against the lock file and runs no install script. A stamp with the
//! digest of the lock makes a second call free; the folder appears by rename, so a broken install is never taken for one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::fail::{Context, Failure, Outcome};
use crate::house::House;
use crate::{process, progress};

const PINS: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];
const STAMP: &str = ".installed";

/// Installs what `source` (relative to the root) pins, and gives the path of `file` under `node_modules`, which must be there:
/// npm skips an optional package that it could not fetch and still reports success.
pub fn install(house: &House, source: &str, file: &str) -> Outcome<PathBuf> {
    let pins = house.root().join(source);
    let name = Path::new(source).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let folder = house.peers().join(&name);
    let digest = digest(&pins)?;
    fs::create_dir_all(house.peers()).context(|| format!("creating `{}`", house.peers().display()))?;
    let _alone = lock(&house.peers().join(format!("{name}.lock")))?;
    if fs::read_to_string(folder.join(STAMP)).is_ok_and(|stamp| stamp == digest) {
        return Ok(folder.join("node_modules").join(file));
    }
    progress::step(&format!("fetch {name} with npm, integrity checked"), || fetch(&pins, &folder, file, &digest))?;
    Ok(folder.join("node_modules").join(file))
}

fn fetch(pins: &Path, folder: &Path, file: &str, digest: &str) -> Outcome<()> {
    let partial = PathBuf::from(format!("{}.partial", folder.display()));
    for old in [&partial, &folder.to_path_buf()] {
        remove(old)?;
    }
    fs::create_dir_all(&partial).context(|| format!("creating `{}`", partial.display()))?;
    for pin in PINS {
        fs::copy(pins.join(pin), partial.join(pin)).context(|| format!("copying `{pin}`"))?;
    }
    process::capture(
        Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&partial),
        "installing npm packages",
    )
    .map_err(|failure| failure.advise("npm (Node 20 or later) must be on PATH and must reach its package registry"))?;
    if !partial.join("node_modules").join(file).is_file() {
        return Err(
            Failure::new(format!("npm did not bring `{file}`")).advise("look at npm's own log; its package registry may be out of reach")
        );
    }
    fs::write(partial.join(STAMP), digest).context(|| "writing the stamp".to_owned())?;
    fs::rename(&partial, folder).context(|| format!("moving `{}` into place", folder.display()))
}

fn digest(pins: &Path) -> Outcome<String> {
    let mut hasher = Sha256::new();
    for file in PINS {
        hasher.update(fs::read(pins.join(file)).context(|| format!("reading `{}`", pins.join(file).display()))?);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn lock(path: &Path) -> Outcome<File> {
    let file = File::create(path).context(|| format!("creating `{}`", path.display()))?;
    file.lock().context(|| format!("locking `{}`", path.display()))?;
    Ok(file)
}

fn remove(folder: &Path) -> Outcome<()> {
    match fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::new(format!("removing `{}`: {error}", folder.display()))),
    }
}
