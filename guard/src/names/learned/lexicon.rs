//! Words that names of interest are made of, and where they stand in a label that is written together.

use std::collections::HashMap;
use std::sync::LazyLock;

const WORDS: &str = include_str!("../../../data/lexicon.txt");

/// A piece of a label.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece<'a> {
    /// A word of the lexicon, and the groups that it belongs to.
    Word(&'a str, &'static [&'static str]),
    /// Letters of no word that we know.
    Unknown(&'a str),
    Digits,
    Hyphen,
}

/// Costs of reading a run of letters: the cheapest reading wins. A short word costs more than it saves unless nothing
/// else reads it: two letters stand inside every third word by accident.
const UNKNOWN_LETTER: u32 = 10;
const fn cost(length: usize) -> u32 {
    match length {
        0..=3 => 15,
        4 => 9,
        _ => 4,
    }
}

/// Reads a label into pieces. Labels are short (63 bytes in DNS); longer ones are cut.
pub(super) fn read(label: &str) -> Vec<Piece<'_>> {
    const LONGEST: usize = 96;
    let end = (0..=LONGEST.min(label.len())).rev().find(|at| label.is_char_boundary(*at)).unwrap_or(0);
    let mut pieces = Vec::new();
    for (position, part) in label[..end].split(|letter: char| !letter.is_ascii_alphanumeric()).enumerate() {
        if position > 0 {
            pieces.push(Piece::Hyphen);
        }
        if let Some(groups) = groups(part) {
            pieces.push(Piece::Word(part, groups));
            continue;
        }
        let mut rest = part;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 {
                pieces.push(Piece::Digits);
                rest = &rest[digits..];
                continue;
            }
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            segment(&rest[..letters], &mut pieces);
            rest = &rest[letters..];
        }
    }
    pieces
}

/// The cheapest reading of a run of ASCII letters.
fn segment<'a>(letters: &'a str, pieces: &mut Vec<Piece<'a>>) {
    let mut best: Vec<(u32, usize)> = vec![(0, 0)];
    for end in 1..=letters.len() {
        let mut choice = (best[end - 1].0 + UNKNOWN_LETTER, end - 1);
        for length in 2..=end.min(LEXICON.longest) {
            let through = best[end - length].0 + cost(length);
            if through < choice.0 && groups(&letters[end - length..end]).is_some() {
                choice = (through, end - length);
            }
        }
        best.push(choice);
    }
    let mut reversed: Vec<(usize, usize)> = Vec::new();
    let mut end = letters.len();
    while end > 0 {
        reversed.push((best[end].1, end));
        end = best[end].1;
    }
    let mut unknown: Option<usize> = None;
    for (start, end) in reversed.into_iter().rev() {
        match groups(&letters[start..end]).filter(|_| end - start > 1) {
            Some(groups) => {
                if let Some(from) = unknown.take() {
                    pieces.push(Piece::Unknown(&letters[from..start]));
                }
                pieces.push(Piece::Word(&letters[start..end], groups));
            }
            None => {
                unknown.get_or_insert(start);
            }
        }
    }
    if let Some(from) = unknown {
        pieces.push(Piece::Unknown(&letters[from..]));
    }
}

fn groups(word: &str) -> Option<&'static [&'static str]> {
    LEXICON.words.get(word).map(Vec::as_slice)
}

struct Lexicon {
    words: HashMap<&'static str, Vec<&'static str>>,
    longest: usize,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let mut words: HashMap<&'static str, Vec<&'static str>> = HashMap::new();
    let mut group = "";
    for line in WORDS.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            group = name;
            continue;
        }
        line.split_whitespace().for_each(|word| words.entry(word).or_default().push(group));
    }
    let longest = words.keys().map(|word| word.len()).max().unwrap_or(0);
    Lexicon { words, longest }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_what_is_written_together() {
        let told = |label: &'static str| -> Vec<String> {
            read(label)
                .into_iter()
                .map(|piece| match piece {
                    Piece::Word(word, _) => word.to_owned(),
                    Piece::Unknown(letters) => format!("?{letters}"),
                    Piece::Digits => "#".to_owned(),
                    Piece::Hyphen => "-".to_owned(),
                })
                .collect()
        };
        assert_eq!(told("claimeigenlayer"), ["claim", "eigenlayer"]);
        assert_eq!(told("walletconnectfix-17"), ["walletconnect", "fix", "-", "#"]);
        assert_eq!(told("superstore"), ["?superstore"]);
        assert_eq!(told("1inch-swapzq"), ["1inch", "-", "swap", "?zq"]);
    }
}
