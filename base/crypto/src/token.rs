//! Bearer tokens: minted as a pair of plain text (shown once) and digest (stored).
//!
//! A token reads `prefix_` + 43 base-62 characters (256 random bits) + 6 characters of CRC-32 over all before it, so that a
//! secret scanner finds a leaked one without false alarms, and a mistyped one is refused before any look-up.

use purser_values::{Env, Secret, Sha256Digest};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM_CHARS: usize = 43;
const CHECK_CHARS: usize = 6;

/// A fresh token with the given prefix, and the digest to store.
#[must_use]
pub fn mint(env: &Env, prefix: &str) -> (Secret<String>, Sha256Digest) {
    let mut plain = String::with_capacity(prefix.len() + 1 + RANDOM_CHARS + CHECK_CHARS);
    plain.push_str(prefix);
    plain.push('_');
    while plain.len() < prefix.len() + 1 + RANDOM_CHARS {
        // 248 is the largest multiple of 62 in a byte: what lies above is thrown away so that no character is likelier.
        for byte in env.bytes::<32>().into_iter().filter(|b| *b < 248) {
            if plain.len() < prefix.len() + 1 + RANDOM_CHARS {
                plain.push(char::from(ALPHABET[usize::from(byte) % 62]));
            }
        }
    }
    let check = check_chars(&plain);
    plain.push_str(&check);
    let digest = hash(&plain);
    (Secret::new(plain), digest)
}

/// The digest under which a token is stored. Tokens carry 256 random bits, so a plain SHA-256 is enough.
#[must_use]
pub fn hash(plain: &str) -> Sha256Digest {
    Sha256Digest::of(plain.as_bytes())
}

/// Whether the text has the form of a token with this prefix and its check characters are right.
#[must_use]
pub fn is_well_formed(plain: &str, prefix: &str) -> bool {
    let Some(body) = plain.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')) else { return false };
    if body.len() != RANDOM_CHARS + CHECK_CHARS || !body.bytes().all(|b| ALPHABET.contains(&b)) {
        return false;
    }
    let (head, check) = plain.split_at(plain.len() - CHECK_CHARS);
    check_chars(head) == check
}

/// The part of a token that may be shown and searched for: the prefix and the first eight random characters.
#[must_use]
pub fn public_prefix(plain: &str) -> String {
    let end = plain.find('_').map_or(0, |i| i + 9).min(plain.len());
    plain.get(..end).unwrap_or_default().to_owned()
}

fn check_chars(text: &str) -> String {
    let mut crc = crc32(text.as_bytes());
    let mut out = [b'0'; CHECK_CHARS];
    for slot in out.iter_mut().rev() {
        *slot = ALPHABET[(crc % 62) as usize];
        crc /= 62;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// CRC-32 (IEEE 802.3), bit by bit: tokens are short.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::Timestamp;

    #[test]
    fn the_crc_is_the_published_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_minted_token_is_well_formed_and_a_mistyped_one_is_not() {
        let (env, _) = Env::test(Timestamp::EPOCH, 11);
        let (plain, digest) = mint(&env, "pur_at");
        assert!(is_well_formed(plain.expose(), "pur_at"));
        assert!(!is_well_formed(plain.expose(), "pur_rt"));
        assert_eq!(hash(plain.expose()), digest);
        let mut typo = plain.expose().clone().into_bytes();
        typo[12] = if typo[12] == b'a' { b'b' } else { b'a' };
        assert!(!is_well_formed(std::str::from_utf8(&typo).unwrap(), "pur_at"));
    }
}
