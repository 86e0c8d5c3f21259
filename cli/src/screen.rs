//! Words for people: on stdout the result, on stderr everything else.
//!
//! Names and messages come from providers, pages and agents. Control characters in them could move the cursor or hide a
//! line, so nothing reaches a terminal without passing [`plain`].

use std::io::{IsTerminal as _, Write as _};

/// The text without control characters, save line ends.
#[must_use]
pub fn plain(text: &str) -> String {
    let hostile =
        |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if hostile(c) { '\u{fffd}' } else { c }).collect()
}

/// The result. A closed pipe is the reader's choice, not an error.
pub fn result(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// A file's text: its line ends are its own. What else could move the cursor is taken out as ever.
pub fn file(text: &str) {
    let lines: Vec<String> = text.split("\r\n").map(plain).collect();
    let mut out = std::io::stdout().lock();
    let _ = write!(out, "{}", lines.join("\r\n")).and_then(|()| out.flush());
}

/// A line beside the result.
pub fn note(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", plain(text));
}

/// A line of progress: only for somebody who watches.
pub fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        note(text);
    }
}

/// A URL for a phone: only for somebody who watches.
pub fn picture(url: &str) {
    if std::io::stderr().is_terminal()
        && let Some(drawn) = crate::qr::picture(&plain(url))
    {
        let _ = writeln!(std::io::stderr().lock(), "{drawn}");
    }
}

/// Whether there is somebody to ask.
#[must_use]
pub fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks a yes-or-no question on the terminal; anything but yes is no.
#[must_use]
pub fn confirm(question: &str) -> bool {
    let _ = write!(std::io::stderr().lock(), "{} [y/N] ", plain(question));
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

/// Columns padded to their widest cell; the last is left as it is.
#[must_use]
pub fn table(rows: &[Vec<String>]) -> String {
    aligned(rows, &[])
}

/// Rows under their names; the columns `right` hold amounts, which line up at their ends. Nothing where there are no rows.
#[must_use]
pub fn columns(names: &[&str], right: &[usize], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let head = names.iter().map(|name| (*name).to_owned()).collect();
    aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), right)
}

fn aligned(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |c: usize| rows.iter().filter_map(|row| row.get(c)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cell = |(c, (cell, width)): (usize, (&String, &usize))| {
            if right.contains(&c) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        };
        let cells: Vec<String> = row.iter().zip(&widths).enumerate().map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(plain("a\x1b[2Jb\r\u{202e}c\nd"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\nd");
    }

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(table(&rows), "a     b\nlong");
    }

    #[test]
    fn amounts_line_up_at_their_ends() {
        let rows = vec![vec!["a".to_owned(), "USD 5.00".to_owned()], vec!["b".to_owned(), "USD 100.00".to_owned()]];
        assert_eq!(columns(&["at", "cap"], &[1], rows), "at         cap\na     USD 5.00\nb   USD 100.00");
        assert_eq!(columns(&["at"], &[], Vec::new()), "");
    }
}
