//! Text of another party, made fit to be kept and shown.

/// The first `max` characters of a text without control characters, with a mark where it was cut.
#[must_use]
pub fn excerpt(text: &str, max: usize) -> String {
    let mut kept: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max).collect();
    if text.chars().nth(max).is_some() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_go_and_the_cut_shows() {
        assert_eq!(super::excerpt("a\x1b[31m\nbcdef", 8), "a [31m b…");
        assert_eq!(super::excerpt("short", 8), "short");
    }
}
