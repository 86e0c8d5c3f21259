//! The text of a record's data: what people write in a form or a zone file, and the one form in which it is kept.
//!
//! Names are absolute and written without the closing dot. Types with many fields are read by the library that also puts them on the
//! wire, and what it cannot write back unchanged is not taken.

use hickory_proto::rr::{RData, RecordType};
use purser_values::name::HostName;

use super::{CONTENT_BYTES, CaaTag, Data, Kind, Owner, Proxiable, RecordError};

/// The longest piece of a quoted text.
const PIECE: usize = 255;

/// Reads the data of a record of this type. The preference of MX may stand in the text or beside it.
///
/// # Errors
/// When the type is not served, or the text is not data of it.
pub fn parse(kind: &str, content: &str, priority: Option<u16>) -> Result<Data, RecordError> {
    let content = content.trim();
    match kind {
        "A" => Ok(Data::A { address: address(content, "A", "must be a valid IPv4 address")? }),
        "AAAA" => Ok(Data::Aaaa { address: address(content, "AAAA", "must be a valid IPv6 address")? }),
        "CNAME" => Ok(Data::Cname { target: address(content, "CNAME", "must be a host name")? }),
        "NS" => Ok(Data::Ns { server: host(content, "NS")? }),
        "TXT" => Ok(Data::Txt { text: unquote(content)? }),
        "MX" => mx(content, priority),
        "CAA" => caa(content),
        _ => match Kind::ALL.into_iter().find(|k| k.as_str() == kind) {
            Some(kind) => other(kind, content, priority),
            None => Err(RecordError::Type(kind.chars().take(16).collect())),
        },
    }
}

/// The text of the data, without the preference of MX.
#[must_use]
pub fn content(data: &Data) -> String {
    match data {
        // The address that Cloudflare shows for a host without an origin (discard prefix, RFC 6666).
        Data::Edge => "100::".to_owned(),
        Data::A { address } => address.to_string(),
        Data::Aaaa { address } => address.to_string(),
        Data::Cname { target } => target.to_string(),
        Data::Txt { text } => text.clone(),
        Data::Ns { server } => server.to_string(),
        Data::Mx { exchange, .. } => exchange.to_string(),
        Data::Caa { critical, tag, value } => {
            format!("{} {} \"{}\"", if *critical { 128 } else { 0 }, tag.as_str(), quoted(value.as_bytes()))
        }
        Data::Proxied { content, .. } | Data::Other { content, .. } => content.clone(),
    }
}

/// The data as a line of a zone file has it (RFC 1035 section 5).
#[must_use]
pub fn zone_line(data: &Data) -> String {
    match data {
        Data::Txt { text } if text.is_empty() => "\"\"".to_owned(),
        Data::Txt { text } => {
            let pieces: Vec<String> = text.as_bytes().chunks(PIECE).map(|piece| format!("\"{}\"", quoted(piece))).collect();
            pieces.join(" ")
        }
        Data::Mx { preference, exchange } => format!("{preference} {exchange}."),
        Data::Cname { target } => format!("{target}."),
        Data::Ns { server } => format!("{server}."),
        Data::Proxied { of: Proxiable::Cname, content } => format!("{content}."),
        Data::Other { kind, content } => absolute(*kind, content),
        _ => content(data),
    }
}

/// The record on the wire.
///
/// # Errors
/// When the text is not data of the type, which [`parse`] rules out.
pub(crate) fn wire(kind: Kind, content: &str) -> Result<RData, RecordError> {
    let failed = |why: String| RecordError::Content { kind: kind.as_str(), why };
    let as_type = match kind {
        Kind::Ds => RecordType::DS,
        Kind::Https => RecordType::HTTPS,
        Kind::Naptr => RecordType::NAPTR,
        Kind::Openpgpkey => RecordType::OPENPGPKEY,
        Kind::Ptr => RecordType::PTR,
        Kind::Smimea => RecordType::SMIMEA,
        Kind::Srv => RecordType::SRV,
        Kind::Sshfp => RecordType::SSHFP,
        Kind::Svcb => RecordType::SVCB,
        Kind::Tlsa => RecordType::TLSA,
    };
    RData::try_from_str(as_type, &absolute(kind, content)).map_err(|e| failed(e.to_string()))
}

/// Between quotes: every byte that is not plain by its number.
fn quoted(text: &[u8]) -> String {
    let mut out = String::new();
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => out.push(char::from(*byte)),
            _ => out.push_str(&format!("\\{byte:03}")),
        }
    }
    out
}

/// The text that quotes stand for, one piece after the other; text without quotes is itself.
fn unquote(content: &str) -> Result<String, RecordError> {
    if !content.starts_with('"') {
        return Ok(content.to_owned());
    }
    let failed = || RecordError::Content { kind: "TXT", why: "the quotes do not match".to_owned() };
    let (mut out, mut inside, mut bytes) = (Vec::new(), false, content.bytes());
    while let Some(byte) = bytes.next() {
        match (inside, byte) {
            (_, b'"') => inside = !inside,
            (true, b'\\') => match bytes.next().ok_or_else(failed)? {
                digit if digit.is_ascii_digit() => {
                    let digits = [digit, bytes.next().ok_or_else(failed)?, bytes.next().ok_or_else(failed)?];
                    let number = std::str::from_utf8(&digits).ok().and_then(|d| d.parse().ok());
                    out.push(number.ok_or_else(failed)?);
                }
                plain => out.push(plain),
            },
            (true, byte) => out.push(byte),
            (false, b' ' | b'\t') => {}
            (false, _) => return Err(failed()),
        }
    }
    if inside {
        return Err(failed());
    }
    String::from_utf8(out).map_err(|_| RecordError::Content { kind: "TXT", why: "the text is not UTF-8".to_owned() })
}

fn address<T: std::str::FromStr>(content: &str, kind: &'static str, why: &str) -> Result<T, RecordError> {
    content.parse().map_err(|_| RecordError::Content { kind, why: why.to_owned() })
}

fn host(content: &str, kind: &'static str) -> Result<HostName, RecordError> {
    let name = content.strip_suffix('.').unwrap_or(content).to_ascii_lowercase();
    name.parse().map_err(|_| RecordError::Content { kind, why: "must be a host name".to_owned() })
}

fn mx(content: &str, priority: Option<u16>) -> Result<Data, RecordError> {
    let words: Vec<&str> = content.split_whitespace().collect();
    let missing = || RecordError::Content { kind: "MX", why: "a priority of 0 to 65535 is needed".to_owned() };
    let (preference, exchange) = match (words.as_slice(), priority) {
        ([exchange], Some(priority)) => (priority, exchange),
        ([preference, exchange], _) => (preference.parse().map_err(|_| missing())?, exchange),
        _ => return Err(missing()),
    };
    Ok(Data::Mx { preference, exchange: host(exchange, "MX")? })
}

fn caa(content: &str) -> Result<Data, RecordError> {
    let failed = |why: &str| RecordError::Content { kind: "CAA", why: why.to_owned() };
    let mut words = content.splitn(3, char::is_whitespace);
    let (Some(flags), Some(tag), Some(value)) = (words.next(), words.next(), words.next()) else {
        return Err(failed("flags, tag and value are needed"));
    };
    let flags: u8 = flags.parse().map_err(|_| failed("the flags are 0 or 128"))?;
    let tag = match tag.to_ascii_lowercase().as_str() {
        "issue" => CaaTag::Issue,
        "issuewild" => CaaTag::Issuewild,
        "iodef" => CaaTag::Iodef,
        _ => return Err(failed("the tag is issue, issuewild or iodef")),
    };
    Ok(Data::Caa { critical: flags & 128 != 0, tag, value: unquote(value.trim())? })
}

fn other(kind: Kind, content: &str, priority: Option<u16>) -> Result<Data, RecordError> {
    let failed = |why: &str| RecordError::Content { kind: kind.as_str(), why: why.to_owned() };
    if content.len() > CONTENT_BYTES || content.contains(['\n', '\r', ';', '(', ')']) {
        return Err(failed("it is too long or holds what only a zone file may hold"));
    }
    let mut words: Vec<String> = words(content);
    // The priority of SRV may stand beside the other three fields.
    if let (Kind::Srv, 3, Some(priority)) = (kind, words.len(), priority) {
        words.insert(0, priority.to_string());
    }
    if let Some(name) = kind.name_at().and_then(|at| words.get_mut(at)) {
        let bare = name.strip_suffix('.').unwrap_or(name);
        *name = if bare.is_empty() { ".".to_owned() } else { bare.parse::<Owner>()?.to_string() };
    }
    let content = words.join(" ");
    let read = wire(kind, &content)?;
    // What comes back from the wire must be what went there, or people would be shown something else than is served.
    let kept = RData::try_from_str(read.record_type(), &read.to_string()).is_ok_and(|again| again == read);
    if kept { Ok(Data::Other { kind, content }) } else { Err(failed("it cannot be served as it is written")) }
}

/// The words of a line; what stands in quotes is one word and keeps them.
pub(crate) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                continue;
            }
            _ => {}
        }
        word.push(c);
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

/// With the closing dot of its name, as the wire and zone files want it.
fn absolute(kind: Kind, content: &str) -> String {
    let mut words = words(content);
    if let Some(name) = kind.name_at().and_then(|at| words.get_mut(at)).filter(|name| !name.ends_with('.')) {
        name.push('.');
    }
    words.join(" ")
}

impl CaaTag {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Issuewild => "issuewild",
            Self::Iodef => "iodef",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_read_and_shown_in_one_form() {
        for (kind, written, shown) in [
            ("A", "192.0.2.1", "192.0.2.1"),
            ("AAAA", "2001:DB8::1", "2001:db8::1"),
            ("CNAME", "Pages.Example.", "pages.example"),
            ("SRV", "10 5 5060 SIP.shop.test.", "10 5 5060 sip.shop.test"),
            ("SRV", "0 0 0 .", "0 0 0 ."),
            ("PTR", "host.shop.test", "host.shop.test"),
            ("HTTPS", "1 . alpn=h2,h3", "1 . alpn=h2,h3"),
            ("SVCB", "1 svc.shop.test port=8443", "1 svc.shop.test port=8443"),
            (
                "TLSA",
                "3 1 1 0b9fa5a59eed715c26c1020c711b4f6ec42d58b0015e14337a39dad301c5afc3",
                "3 1 1 0b9fa5a59eed715c26c1020c711b4f6ec42d58b0015e14337a39dad301c5afc3",
            ),
            (
                "SSHFP",
                "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
                "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
            ),
            (
                "DS",
                "60485 13 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a",
                "60485 13 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a",
            ),
            ("NAPTR", "100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.shop.test", "100 10 \"S\" \"SIP+D2U\" \"\" _sip._udp.shop.test"),
            ("CAA", "0 issue \"letsencrypt.org\"", "0 issue \"letsencrypt.org\""),
            ("TXT", "v=spf1 -all", "v=spf1 -all"),
            ("TXT", "\"one \" \"two\\\"\\065\"", "one two\"A"),
        ] {
            let data = parse(kind, written, None).unwrap_or_else(|e| panic!("{kind} {written}: {e}"));
            assert_eq!((data.kind(), content(&data)), (kind, shown.to_owned()));
            let again = parse(kind, &zone_line(&data), None).unwrap();
            assert_eq!(again, data, "{kind} {written}");
        }
    }

    #[test]
    fn what_is_not_data_of_the_type_is_refused() {
        for (kind, written) in [
            ("A", "2001:db8::1"),
            ("A", "not an address"),
            ("AAAA", "192.0.2.1"),
            ("CNAME", "two words"),
            ("MX", "mail.shop.test"),
            ("SRV", "5 5060 sip.shop.test"),
            ("TLSA", "3 1"),
            ("DS", "1 13 2 zz"),
            ("PTR", "$INCLUDE"),
            ("TXT", "\"open"),
            ("CAA", "0 issue"),
            ("LOC", "0 0 0"),
            ("SOA", "a b 1 2 3 4 5"),
            ("DNSKEY", "257 3 13 AAAA"),
        ] {
            assert!(parse(kind, written, None).is_err(), "{kind} `{written}` was taken");
        }
    }

    #[test]
    fn a_priority_may_stand_beside() {
        assert_eq!(parse("MX", "mail.shop.test", Some(7)), parse("MX", "7 mail.shop.test.", None));
        assert_eq!(parse("SRV", "5 5060 sip.shop.test", Some(7)), parse("SRV", "7 5 5060 sip.shop.test", None));
    }

    #[test]
    fn a_text_of_any_characters_comes_back_from_a_zone_file() {
        let text = format!("{}ünï\"c\\öde\t{}", "x".repeat(254), "y".repeat(300));
        let data = Data::Txt { text: text.clone() };
        assert_eq!(parse("TXT", &zone_line(&data), None), Ok(data));
    }
}
