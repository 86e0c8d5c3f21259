//! Characters that look like others.
//!
//! Two foldings: [`latin`] replaces look-alikes by the Latin letter that they imitate and keeps everything else, so
//! that words can be read; [`skeleton`] goes further, so that two strings that *look* alike become equal (UTS 39,
//! section 4, and the digits that stand for letters). Skeletons are compared with skeletons and with nothing else.

use unicode_security::confusable_detection::skeleton as uts39;

/// As a browser shows it: punycode decoded, lower case. What cannot be decoded stays as it was.
pub(super) fn shown(label: &str) -> String {
    if !label.contains("xn--") {
        return label.to_owned();
    }
    let (unicode, valid) = idna::domain_to_unicode(label);
    if valid.is_ok() { unicode } else { label.to_owned() }
}

/// Look-alikes and accents to plain Latin letters; ASCII stays as it is.
pub(crate) fn latin(shown: &str) -> String {
    if shown.is_ascii() {
        return shown.to_owned();
    }
    let mut folded = String::with_capacity(shown.len());
    for letter in shown.chars() {
        if letter.is_ascii() {
            folded.push(letter);
            continue;
        }
        let mut buffer = [0; 4];
        // a skeleton writes `m` as `rn`: undone, or `м` would not read as the letter that it imitates
        let look = uts39(letter.encode_utf8(&mut buffer)).filter(|it| !combining(*it)).collect::<String>().to_lowercase();
        folded.push_str(if look == "rn" { "m" } else { &look });
    }
    folded
}

/// Equal for strings that look alike. Only letters and digits count.
pub(super) fn skeleton(shown: &str) -> String {
    let mut folded = String::with_capacity(shown.len());
    for letter in uts39(shown).flat_map(char::to_lowercase) {
        match letter {
            '1' | 'i' | 'l' | '|' | '!' => folded.push('l'),
            '0' => folded.push('o'),
            '3' => folded.push('e'),
            '4' => folded.push('a'),
            '5' | '$' => folded.push('s'),
            '7' => folded.push('t'),
            '8' => folded.push('b'),
            '9' => folded.push('g'),
            'd' => folded.push_str("cl"),
            'w' => folded.push_str("vv"),
            other if combining(other) || !other.is_alphanumeric() => {}
            other => folded.push(other),
        }
    }
    folded
}

/// Letters of more than one alphabet, none of which a language writes beside the other.
pub(super) fn mixes_scripts(shown: &str) -> bool {
    use unicode_security::mixed_script::MixedScript;
    !shown.is_ascii() && !shown.is_single_script()
}

const fn combining(letter: char) -> bool {
    matches!(letter, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_has_one_skeleton() {
        for (imitation, original) in [
            ("paypa1", "paypal"),
            ("раура\u{4cf}", "paypal"),
            ("rnetamask", "metamask"),
            ("mеtаmаѕk", "metamask"),
            ("g00gle", "google"),
            ("clropbox", "dropbox"),
            ("vvalmart", "walmart"),
            ("nétflix", "netflix"),
        ] {
            assert_eq!(skeleton(imitation), skeleton(original), "{imitation}");
        }
        assert_ne!(skeleton("paypol"), skeleton("paypal"));
    }

    #[test]
    fn words_stay_readable() {
        assert_eq!(latin("mеtаmаѕk-login"), "metamask-login");
        assert_eq!(latin("shop24"), "shop24");
        assert_eq!(shown("xn--mtamsk-5nfb97ae"), shown("xn--mtamsk-5nfb97ae"));
    }

    #[test]
    fn two_alphabets_in_one_label_are_seen() {
        assert!(mixes_scripts("pаypal"));
        assert!(!mixes_scripts("пример") && !mixes_scripts("paypal") && !mixes_scripts("東京とトウキョウ"));
    }
}
