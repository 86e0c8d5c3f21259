//! What the model sees of a label: runs of one to five characters, and what its words are about.
//!
//! Hashed into a fixed number of buckets. Any change here changes the meaning of every weight: train anew.

use std::collections::BTreeSet;

use super::lexicon::{Piece, read};
use crate::hash::Stable;
use crate::names::fold;

const RUN_BITS: u32 = 18;
const WORD_BITS: u32 = 16;
const LONGEST_RUN: usize = 5;

/// Buckets of runs first, buckets of words after them.
pub const BUCKETS: usize = (1 << RUN_BITS) + (1 << WORD_BITS);

/// What words say counts twice what a run of letters says.
const WORDS_COUNT: i8 = 2;

/// The buckets of a label as it is shown, each once, and how many times each counts.
pub(super) fn features(label: &str) -> Vec<(usize, i8)> {
    let label = fold::latin(label);
    let mut buckets = BTreeSet::new();
    let letters: Vec<char> = std::iter::once('^').chain(label.chars()).chain(std::iter::once('$')).collect();
    let mut run = String::new();
    for start in 0..letters.len() {
        run.clear();
        for letter in letters[start..].iter().take(LONGEST_RUN) {
            run.push(*letter);
            buckets.insert(bucket(&[b"run:", run.as_bytes()], RUN_BITS));
        }
    }
    let runs = buckets.into_iter().map(|bucket| (bucket, 1));
    let words: BTreeSet<usize> = said(&label).iter().map(|word| (1 << RUN_BITS) + bucket(&[word.as_bytes()], WORD_BITS)).collect();
    runs.chain(words.into_iter().map(|bucket| (bucket, WORDS_COUNT))).collect()
}

#[allow(clippy::cast_possible_truncation, reason = "a few bits are wanted")]
fn bucket(parts: &[&[u8]], bits: u32) -> usize {
    (Stable.of(parts) >> (64 - bits)) as usize
}

/// What the pieces of a label are about, alone, side by side and together.
fn said(label: &str) -> Vec<String> {
    let pieces = read(label);
    let mut said = Vec::new();
    let mut order: Vec<Vec<String>> = Vec::new();
    let mut unknown = 0;
    let mut known = 0;
    for piece in &pieces {
        match piece {
            Piece::Word(word, groups) => {
                known += 1;
                said.push(format!("word:{word}"));
                said.extend(groups.iter().map(|group| format!("about:{group}")));
                order.push(groups.iter().map(|group| (*group).to_owned()).collect());
            }
            Piece::Unknown(letters) => {
                unknown += letters.len();
                order.push(vec![format!("?{}", letters.len().min(6))]);
            }
            Piece::Digits => order.push(vec!["#".to_owned()]),
            Piece::Hyphen => {}
        }
    }
    for pair in order.windows(2) {
        said.extend(pair[0].iter().flat_map(|left| pair[1].iter().map(move |right| format!("next:{left}>{right}"))));
    }
    let about: Vec<&Vec<String>> = order.iter().filter(|groups| groups.iter().all(|group| !group.starts_with(['?', '#']))).collect();
    for (at, left) in about.iter().enumerate() {
        for right in &about[at + 1..] {
            for (one, other) in left.iter().flat_map(|one| right.iter().map(move |other| (one.min(other), one.max(other)))) {
                said.push(format!("both:{one}+{other}"));
            }
        }
    }
    if let [only] = order.as_slice() {
        said.push(format!("only:{}", only.join("/")));
    }
    let length = label.chars().count();
    let digits = label.bytes().filter(u8::is_ascii_digit).count();
    said.push(format!("known:{}", known.min(4)));
    said.push(format!("unknown:{}", unknown.min(10)));
    said.push(format!("known:{},unknown:{}", known.min(4), unknown.min(8)));
    said.push(format!("covered:{}", 5 * length.saturating_sub(unknown) / length.max(1)));
    said.push(format!("hyphens:{}", label.matches('-').count().min(4)));
    said.push(format!("length:{}", (length / 3).min(8)));
    said.push(format!("digits:{}", digits.min(6)));
    said.push(format!("outline:{}", outline(label)));
    if let Some((_, end)) = label.rsplit_once('-')
        && (4..=6).contains(&end.len())
        && end.bytes().any(|byte| byte.is_ascii_digit())
        && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        said.push("ends like a hash".to_owned());
    }
    said
}

/// `claim-drop17` is `a-a0`.
fn outline(label: &str) -> String {
    const LONGEST: usize = 9;
    let mut outline = String::new();
    for letter in label.chars() {
        let kind = if letter.is_ascii_digit() {
            '0'
        } else if letter.is_alphabetic() {
            'a'
        } else {
            letter
        };
        if kind == '-' || !outline.ends_with(kind) {
            outline.push(kind);
        }
        if outline.len() >= LONGEST {
            break;
        }
    }
    outline
}
