//! A hash that is the same on every machine and in every version: what is remembered of a page, and the weights of
//! what was learned, outlive the process.
//!
//! FNV-1a with a final mix. Not for tables that strangers can fill: a collision costs nothing here but a wrong match,
//! which needs many at once.

use std::hash::{BuildHasher, Hasher};

#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Stable;

pub(crate) struct Fnv(u64);

impl BuildHasher for Stable {
    type Hasher = Fnv;

    fn build_hasher(&self) -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_le_bytes());
    }

    /// Spread over all bits (the finaliser of SplitMix64): sketches keep the smallest.
    fn finish(&self) -> u64 {
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Stable {
    /// All parts, one after the other.
    pub fn of(self, parts: &[&[u8]]) -> u64 {
        let mut hasher = self.build_hasher();
        parts.iter().for_each(|part| hasher.write(part));
        hasher.finish()
    }
}
