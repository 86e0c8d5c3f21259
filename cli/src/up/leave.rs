//! The leave to run Workers without a jail: a secret of this start.
//!
//! Its digest is in the cloud's configuration, the secret itself goes to the cloud's standard input and nowhere else. So a cloud that
//! somebody starts by hand on this folder runs confined or not at all.

use std::io::{self, PipeReader, Write as _};

use purser_values::{Env, Secret, Sha256Digest};

pub(super) struct Leave(Secret<String>);

impl Leave {
    pub fn new(env: &Env) -> Self {
        Self(Secret::new(Sha256Digest::from_bytes(env.bytes::<32>()).to_string()))
    }

    pub fn digest(&self) -> Sha256Digest {
        Sha256Digest::of(self.0.expose().as_bytes())
    }

    /// What a child reads it from, to its end. The secret fits into the pipe, so nobody has to read yet.
    pub fn pipe(&self) -> io::Result<PipeReader> {
        let (reader, mut writer) = io::pipe()?;
        writer.write_all(self.0.expose().as_bytes())?;
        Ok(reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_is_handed_over_is_what_the_file_expects() {
        let leave = Leave::new(&Env::system());
        for start in ["first", "again"] {
            let mut handed = String::new();
            leave.pipe().unwrap().read_to_string(&mut handed).unwrap();
            assert_eq!(Sha256Digest::of(handed.as_bytes()), leave.digest(), "{start}");
        }
        assert_ne!(Leave::new(&Env::system()).digest(), leave.digest(), "each start has its own");
    }
}
