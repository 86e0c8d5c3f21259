//! Names that people and programs give: shown in quotes, so that they must not hide or reorder what stands around them.

/// The name without spaces around it, if it has at most `max` characters and all can be seen.
pub(crate) fn visible(name: &str, max: usize) -> Option<&str> {
    let name = name.trim();
    let count = name.chars().count();
    (count > 0 && count <= max && !name.chars().any(is_hidden)).then_some(name)
}

/// Characters that reorder text, or that nobody sees.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}
