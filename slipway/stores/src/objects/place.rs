//! Where the objects of this installation lie, written down at the first start.
//!
//! INVARIANT (objects-stay): with another place configured the service does not start. Every row would name an object that is not there,
//! and what is written meanwhile would be in neither place alone.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// The file that says it, beside the objects.
const FILE: &str = "objects-are-in";

/// Holds the service to the place of its first start. `local` is the folder of objects that are files here.
///
/// # Errors
/// When the objects lie elsewhere, or the file cannot be used.
pub fn hold(data: &Path, local: &Path, place: &str) -> io::Result<()> {
    let file = data.join(FILE);
    let before = match fs::read_to_string(&file) {
        Ok(text) => Some(text.trim().to_owned()),
        // from before it was written down
        Err(e) if e.kind() == io::ErrorKind::NotFound && fs::read_dir(local).is_ok_and(|mut some| some.next().is_some()) => {
            Some(HERE.to_owned())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    match before {
        Some(before) if before == place => Ok(()),
        Some(before) => Err(io::Error::other(format!(
            "the objects of this installation are in `{before}` and not in `{place}`: copy them, then write the new place into `{}`",
            file.display()
        ))),
        None => {
            DirBuilder::new().recursive(true).mode(0o700).create(data)?;
            fs::write(&file, format!("{place}\n"))
        }
    }
}

/// The place that is this machine's own files.
pub const HERE: &str = "local files";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_looked_for_where_they_were_put_first() {
        let folder = tempfile::tempdir().unwrap();
        let (data, local) = (folder.path().join("stores"), folder.path().join("stores/objects"));
        hold(&data, &local, "s3 a").unwrap();
        hold(&data, &local, "s3 a").unwrap();
        let refused = hold(&data, &local, "s3 b").unwrap_err().to_string();
        assert!(refused.contains("`s3 a`") && refused.contains(FILE), "{refused}");
        fs::remove_file(data.join(FILE)).unwrap();
        fs::create_dir_all(local.join("kv")).unwrap();
        assert!(hold(&data, &local, "s3 a").is_err(), "files of before were forgotten");
        hold(&data, &local, HERE).unwrap();
    }
}
