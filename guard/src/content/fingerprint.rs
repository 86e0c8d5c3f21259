//! What is remembered of a page that was taken down, and whether another page is that page in other clothes.
//!
//! Two sketches, each the smallest hashes of a set (bottom-k, Broder 1997; exact for pages with fewer than k): the
//! visible words in threes within one block, look-alike letters folded; and the shape, element paths with the number
//! of words at each. Words survive a new template, the shape survives new words for the eye only (renamed classes,
//! swapped letters, junk). The page itself is not kept and cannot be read out of the sketches.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::page::Page;
use crate::hash::Stable;
use crate::names::fold_latin;

/// Hashes kept of each set.
const KEPT: usize = 256;

/// Words in one shingle.
const SHINGLE: usize = 3;

/// A match in words needs this many in common, and this share of the smaller page.
const COMMON_WORDS: usize = 6;
const SHARE_OF_WORDS: f64 = 0.35;

/// A match in shape needs this many in common, and this share of both pages together.
const COMMON_SHAPE: usize = 12;
const SHARE_OF_SHAPE: f64 = 0.80;

/// What every second page says, and what therefore proves nothing.
const COMMONPLACES: &str = include_str!("../../data/commonplaces.txt");

/// A page, remembered. Stored by the caller, with a name that a reviewer understands.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Ascending.
    words: Vec<u64>,
    shape: Vec<u64>,
}

/// How two pages are one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Match {
    /// Position among the known.
    pub known: usize,
    /// Thousandths.
    pub words: u16,
    pub shape: u16,
}

impl Fingerprint {
    pub(super) fn of(page: &Page) -> Self {
        Self { words: smallest(shingles(&page.blocks)), shape: smallest(page.shape.iter().copied()) }
    }

    /// Too little to be recognised by.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.len() < COMMON_WORDS && self.shape.len() < COMMON_SHAPE
    }
}

/// Everything that was taken down, ready to be asked.
#[derive(Clone, Default, Debug)]
pub(super) struct Known {
    prints: Vec<Fingerprint>,
    by_word: HashMap<u64, Vec<u32>>,
    by_shape: HashMap<u64, Vec<u32>>,
}

impl Known {
    pub fn of(prints: Vec<Fingerprint>) -> Self {
        let mut known = Self::default();
        for (at, print) in prints.iter().enumerate() {
            let Ok(at) = u32::try_from(at) else { break };
            print.words.iter().for_each(|hash| known.by_word.entry(*hash).or_default().push(at));
            print.shape.iter().for_each(|hash| known.by_shape.entry(*hash).or_default().push(at));
        }
        known.prints = prints;
        known
    }

    /// The known page that this one re-creates, the surest first.
    pub fn find(&self, print: &Fingerprint) -> Option<Match> {
        let words = counts(&print.words, &self.by_word);
        let shape = counts(&print.shape, &self.by_shape);
        let candidates: BTreeSet<u32> = words.keys().chain(shape.keys()).copied().collect();
        let matches = candidates.into_iter().filter_map(|at| {
            let known = self.prints.get(at as usize)?;
            let words_in_common = words.get(&at).copied().unwrap_or(0);
            let shape_in_common = shape.get(&at).copied().unwrap_or(0);
            let share_of_words = share(words_in_common, comparable(&print.words, &known.words));
            let share_of_shape = share(shape_in_common, print.shape.len() + known.shape.len() - shape_in_common);
            let same_words = words_in_common >= COMMON_WORDS && share_of_words >= SHARE_OF_WORDS;
            let same_shape = shape_in_common >= COMMON_SHAPE && share_of_shape >= SHARE_OF_SHAPE;
            (same_words || same_shape).then(|| Match {
                known: at as usize,
                words: if same_words { thousandths(share_of_words) } else { 0 },
                shape: if same_shape { thousandths(share_of_shape) } else { 0 },
            })
        });
        matches.max_by_key(|one| (one.words.max(one.shape), one.words, std::cmp::Reverse(one.known)))
    }
}

/// The words of a block, in threes; a block of two stands for itself, a single word for nothing.
fn shingles(blocks: &[String]) -> impl Iterator<Item = u64> {
    let commonplace = &*COMMON;
    blocks.iter().flat_map(|block| of_block(block)).filter(|hash| !commonplace.contains(hash))
}

static COMMON: LazyLock<HashSet<u64>> = LazyLock::new(|| COMMONPLACES.lines().flat_map(of_block).collect());

fn of_block(block: &str) -> Vec<u64> {
    let folded = readable(block);
    let words: Vec<&str> = folded.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    match words.len() {
        0 | 1 => Vec::new(),
        length if length < SHINGLE => vec![hash(&words)],
        _ => words.windows(SHINGLE).map(hash).collect(),
    }
}

/// Lower case, look-alike letters folded, characters without width dropped.
pub(super) fn readable(text: &str) -> String {
    let visible: String = text.chars().filter(|letter| !without_width(*letter)).collect();
    fold_latin(&visible.to_lowercase())
}

const fn without_width(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}' | '\u{34f}')
}

fn hash(words: &[&str]) -> u64 {
    let mut hasher = Stable.build_hasher();
    for word in words {
        hasher.write(word.as_bytes());
        hasher.write(b" ");
    }
    hasher.finish()
}

fn smallest(hashes: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut kept = BTreeSet::new();
    for hash in hashes {
        if kept.len() == KEPT && kept.last().is_some_and(|largest| hash >= *largest) {
            continue;
        }
        kept.insert(hash);
        if kept.len() > KEPT {
            kept.pop_last();
        }
    }
    kept.into_iter().collect()
}

/// How many hashes of the smaller sketch could be in the other one at all: those that lie where both are complete.
fn comparable(left: &[u64], right: &[u64]) -> usize {
    let complete_until = |sketch: &[u64]| if sketch.len() < KEPT { u64::MAX } else { sketch.last().copied().unwrap_or(u64::MAX) };
    let until = complete_until(left).min(complete_until(right));
    let within = |sketch: &[u64]| sketch.partition_point(|hash| *hash <= until);
    within(left).min(within(right))
}

fn counts(hashes: &[u64], index: &HashMap<u64, Vec<u32>>) -> HashMap<u32, usize> {
    let mut counts = HashMap::new();
    for at in hashes.iter().filter_map(|hash| index.get(hash)).flatten() {
        *counts.entry(*at).or_insert(0) += 1;
    }
    counts
}

#[allow(clippy::cast_precision_loss, reason = "both are at most a few hundred")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of one, in thousandths")]
fn thousandths(share: f64) -> u16 {
    (share.clamp(0.0, 1.0) * 1000.0) as u16
}
