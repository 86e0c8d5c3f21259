//! Bars beside numbers: only for somebody who watches, and in letters where the terminal has no blocks.

use std::io::IsTerminal as _;

/// Cells of a full bar.
const WIDTH: i128 = 20;

/// How bars are drawn here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Not at all: the output goes to a program or a file.
    None,
    Ascii,
    Blocks,
}

impl Style {
    /// By what stdout is, and by the words of the locale.
    #[must_use]
    pub fn here() -> Self {
        if !std::io::stdout().is_terminal() || std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
            return Self::None;
        }
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let utf8 = locale.is_some_and(|value| value.to_ascii_lowercase().replace('-', "").contains("utf8"));
        if utf8 { Self::Blocks } else { Self::Ascii }
    }

    /// A bar of `part` in `whole`; full when it is more, and never empty for more than nothing.
    #[must_use]
    pub fn bar(self, part: i64, whole: i64) -> String {
        let (full, empty) = match self {
            Self::None => return String::new(),
            Self::Ascii => ('#', '.'),
            Self::Blocks => ('█', '░'),
        };
        let filled = match (part, whole) {
            (..=0, _) => 0,
            (_, ..=0) => WIDTH,
            _ => (i128::from(part) * WIDTH / i128::from(whole)).clamp(1, WIDTH),
        };
        (0..WIDTH).map(|cell| if cell < filled { full } else { empty }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_full_at_the_whole_and_never_empty_for_more_than_nothing() {
        let table = [(0, 100, 0), (1, 1_000, 1), (50, 100, 10), (99, 100, 19), (100, 100, 20), (500, 100, 20), (1, 0, 20), (-5, 100, 0)];
        for (part, whole, filled) in table {
            let bar = Style::Ascii.bar(part, whole);
            assert_eq!((bar.len(), bar.matches('#').count()), (20, filled), "{part} of {whole}");
            assert_eq!(Style::Blocks.bar(part, whole).matches('█').count(), filled);
        }
        assert_eq!(Style::None.bar(1, 2), "");
        assert_eq!(Style::Ascii.bar(i64::MAX, i64::MAX).len(), 20);
    }
}
