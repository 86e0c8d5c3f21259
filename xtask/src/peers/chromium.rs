//! A real browser for the tests of the pages: the machine's Chromium, or Debian's package unpacked under `target/`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debian;
use crate::fail::{Context, Failure, Outcome};
use crate::house::House;
use crate::{process, progress};

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const BINARY: &str = "usr/lib/chromium/chromium";

/// One command that starts the browser.
pub fn install(house: &House) -> Outcome<PathBuf> {
    if let Some(found) = NAMES.into_iter().filter_map(process::on_path).find(|path| starts(path)) {
        return Ok(found);
    }
    let folder = house.peers().join("chromium");
    let command = folder.join("chromium");
    if starts(&command) {
        return Ok(command);
    }
    if let Some(tool) = debian::missing_tool() {
        return Err(missing(&format!("`{tool}` is not here to fetch Debian's package either")));
    }
    progress::step("unpack Debian's chromium under target/ (nothing is installed)", || {
        debian::unpack(&folder, &["chromium", "chromium-common", "fonts-dejavu-core", "fontconfig-config"], BINARY)?;
        write(&folder, &command)
    })?;
    if starts(&command) { Ok(command) } else { Err(missing("the unpacked one does not start")) }
}

fn starts(path: &Path) -> bool {
    path.is_file() && process::capture(Command::new(path).arg("--version"), "asking the browser for its version").is_ok()
}

fn missing(why: &str) -> Failure {
    Failure::new(format!("no Chromium on this machine, and {why}"))
        .advise("install Debian's package `chromium`, or any Chromium as `chromium` on PATH")
}

/// A file that starts the unpacked browser with its libraries and fonts.
fn write(folder: &Path, command: &Path) -> Outcome<()> {
    let libraries =
        std::env::join_paths(debian::libraries(folder)).map_err(|e| Failure::new(format!("a folder cannot be on a path: {e}")))?;
    let root = folder.join("root");
    let fonts = folder.join("fonts.conf");
    let cache = folder.join("fonts-cache");
    fs::write(
        &fonts,
        format!("<fontconfig><dir>{}</dir><cachedir>{}</cachedir></fontconfig>\n", root.join("usr/share/fonts").display(), cache.display()),
    )
    .context(|| "writing the list of fonts".to_owned())?;
    let text = format!(
        "#!/bin/sh\nexport LD_LIBRARY_PATH='{}' FONTCONFIG_FILE='{}'\nexec '{}' \"$@\"\n",
        libraries.to_string_lossy(),
        fonts.display(),
        root.join(BINARY).display()
    );
    fs::write(command, text).context(|| format!("writing `{}`", command.display()))?;
    fs::set_permissions(command, fs::Permissions::from_mode(0o755)).context(|| format!("making `{}` executable", command.display()))
}
