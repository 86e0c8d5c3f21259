//! What the disk itself gives: one caller that overwrites blocks which were written before, and flushes each.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::load::{Measured, measured};

/// Length of the file, so that the blocks are not always the same.
const LENGTH: u64 = 16 << 20;

pub fn overwrite(folder: &Path, block: usize, window: Duration) -> Measured {
    let path = folder.join("blocks");
    let file = File::create(&path).unwrap();
    file.write_all_at(&vec![1; LENGTH as usize], 0).unwrap();
    file.sync_all().unwrap();
    let (bytes, mut took, mut at, began) = (vec![7; block], Vec::new(), 0, Instant::now());
    while began.elapsed() < window {
        let asked = Instant::now();
        file.write_all_at(&bytes, at).unwrap();
        file.sync_data().unwrap();
        took.push(asked.elapsed());
        at = (at + block as u64) % LENGTH;
    }
    let measured = measured(took, began.elapsed());
    std::fs::remove_file(path).unwrap();
    measured
}
