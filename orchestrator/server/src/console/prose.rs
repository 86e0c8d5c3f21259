//! A message as a page shows it: a whole sentence, with what stands between backticks as code.

use super::named::capitalised;

/// A part of a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Part {
    pub code: bool,
    pub text: String,
}

/// The parts of a message, in their order. A backtick without its other half stays as it is.
pub fn prose(message: &str) -> Vec<Part> {
    let pieces: Vec<&str> = message.split('`').collect();
    if pieces.len().is_multiple_of(2) {
        return vec![Part { code: false, text: capitalised(message) }];
    }
    let parts = pieces.iter().enumerate().map(|(at, text)| {
        let text = if at == 0 { capitalised(text) } else { (*text).to_owned() };
        Part { code: at % 2 == 1, text }
    });
    parts.filter(|part| !part.text.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_between_backticks_is_code_and_a_sentence_begins_with_a_capital() {
        let told: Vec<(bool, String)> = prose("there is no `x`: ask").into_iter().map(|part| (part.code, part.text)).collect();
        assert_eq!(told, [(false, "There is no ".to_owned()), (true, "x".to_owned()), (false, ": ask".to_owned())]);
        assert_eq!(prose("`client_id` is missing")[0], Part { code: true, text: "client_id".to_owned() });
        assert_eq!(prose("one ` alone"), [Part { code: false, text: "One ` alone".to_owned() }]);
    }
}
