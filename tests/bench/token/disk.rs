//! How long the disk takes to keep four kilobytes, so that a slow day is seen in the numbers.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

const TIMES: usize = 200;

/// The median of overwriting and flushing one block, in microseconds.
pub fn flush_us(folder: &Path) -> u64 {
    let path = folder.join("flush");
    let mut file = File::create(&path).unwrap();
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let began = Instant::now();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        took.push(u64::try_from(began.elapsed().as_micros()).unwrap());
    }
    std::fs::remove_file(path).unwrap();
    took.sort_unstable();
    took[TIMES / 2]
}
