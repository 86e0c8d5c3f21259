//! Zone files (RFC 1035 section 5): what an account's zone exports, and what it takes from elsewhere.
//!
//! Read with our own eyes: no `$INCLUDE`, which would read the host's files, and a bound on everything.

use std::fmt::Write as _;

use purser_values::name::DomainName;

use super::entry::{Entry, Written};
use crate::record::present;

/// Longest zone file, in bytes, and the most records in one.
pub const FILE_BYTES: usize = 4 << 20;
/// Types that a zone file has and that are ours to say.
const OURS: [&str; 8] = ["SOA", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY"];

/// The zone as a file: what its owner wrote, one record a line. Hosts that our edge serves stand there as `entries` shows them.
#[must_use]
pub fn write(zone: &DomainName, entries: &[Entry]) -> String {
    let mut out = format!("$ORIGIN {zone}.\n$TTL 300\n");
    for entry in entries {
        let kind = super::entry::shown_kind(&entry.record.data);
        let ttl = if entry.automatic { super::entry::TTL_AUTOMATIC } else { entry.record.ttl_s };
        // Writing to a string does not fail.
        let _ = write!(out, "{}.\t{ttl}\tIN\t{kind}\t{}", entry.record.owner, present::zone_line(&entry.record.data));
        let proxied = if entry.proxied() { " cf-proxied:true" } else { "" };
        match (&entry.comment, proxied) {
            (None, "") => {}
            (comment, proxied) => {
                let _ = write!(out, " ;{} {}", proxied, comment.as_deref().unwrap_or_default().replace(['\n', '\r'], " "));
            }
        }
        out.push('\n');
    }
    out
}

/// The records of a zone file, without those that every zone has by itself.
///
/// # Errors
/// The line that cannot be read, and why.
pub fn read(text: &str, zone: &DomainName) -> Result<Vec<Written>, String> {
    if text.len() > FILE_BYTES {
        return Err(format!("a zone file has at most {FILE_BYTES} bytes"));
    }
    let (mut origin, mut owner, mut ttl, mut found) = (format!("{zone}."), format!("{zone}."), None, Vec::new());
    for (number, line) in lines(text)? {
        let failed = |why: &str| format!("line {number}: {why}");
        let mut words = present::words(&line).into_iter().peekable();
        let continued = line.starts_with([' ', '\t']);
        let Some(first) = (if continued { Some(String::new()) } else { words.next() }) else { continue };
        match first.to_ascii_uppercase().as_str() {
            "$ORIGIN" => {
                origin = full(&words.next().ok_or_else(|| failed("no origin"))?, &origin);
                continue;
            }
            "$TTL" => {
                ttl = words.next().and_then(|w| w.parse().ok());
                continue;
            }
            directive if directive.starts_with('$') => return Err(failed("only $ORIGIN and $TTL are taken")),
            "" if continued => {}
            _ => owner = full(&first, &origin),
        }
        let mut own_ttl = None;
        while let Some(word) = words.peek() {
            if word.eq_ignore_ascii_case("IN") {
                words.next();
            } else if let Ok(seconds) = word.parse::<u32>() {
                own_ttl = Some(seconds);
                words.next();
            } else {
                break;
            }
        }
        let Some(kind) = words.next().map(|kind| kind.to_ascii_uppercase()) else { continue };
        let apex = owner.trim_end_matches('.').eq_ignore_ascii_case(zone.as_str());
        if OURS.contains(&kind.as_str()) || (apex && kind == "NS") {
            continue;
        }
        let mut words: Vec<String> = words.collect();
        let name_at = match kind.as_str() {
            "CNAME" | "NS" | "PTR" => Some(0),
            "MX" | "HTTPS" | "SVCB" => Some(1),
            "SRV" => Some(3),
            "NAPTR" => Some(5),
            _ => None,
        };
        if let Some(name) = name_at.and_then(|at| words.get_mut(at)).filter(|name| *name != ".") {
            *name = full(name, &origin);
        }
        found.push(Written {
            name: Some(owner.clone()),
            kind: Some(kind),
            content: Some(words.join(" ")),
            ttl: own_ttl.or(ttl),
            ..Written::default()
        });
    }
    Ok(found)
}

fn full(name: &str, origin: &str) -> String {
    match name {
        "@" => origin.to_owned(),
        name if name.ends_with('.') => name.to_owned(),
        name => format!("{name}.{origin}"),
    }
}

/// The lines without comments, those within parentheses joined, with the number of their first.
fn lines(text: &str) -> Result<Vec<(usize, String)>, String> {
    let (mut all, mut line, mut start) = (Vec::new(), String::new(), 1);
    let (mut depth, mut quoted, mut escaped, mut comment, mut number) = (0_usize, false, false, false, 1);
    for c in text.chars() {
        if c == '\n' {
            number += 1;
            comment = false;
            if depth == 0 {
                quoted = false;
                all.push((start, std::mem::take(&mut line)));
                start = number;
            } else {
                line.push(' ');
            }
            continue;
        }
        if comment {
            continue;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ';' if !quoted => {
                comment = true;
                continue;
            }
            '(' if !quoted => {
                depth += 1;
                continue;
            }
            ')' if !quoted => {
                depth = depth.checked_sub(1).ok_or_else(|| format!("line {number}: a parenthesis that was not opened"))?;
                continue;
            }
            _ => {}
        }
        line.push(c);
    }
    all.push((start, line));
    if depth > 0 { Err(format!("line {start}: a parenthesis that is not closed")) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_file_of_bind_is_read() {
        let text = "$TTL 1h ; no number: as if absent\n$ORIGIN shop.test.\n@ 3600 IN SOA ns1 host (\n 1 2 3 4 5 )\n@ IN NS ns1.elsewhere.test.\n\
            www 600 IN CNAME @\n    IN 60 TXT \"a;b\" ; a note\nmail IN MX 10 mx\n_sip._tcp SRV 1 2 5060 sip.shop.test.\nsub NS ns.sub\n";
        let found = read(text, &"shop.test".parse().unwrap()).unwrap();
        let shown: Vec<String> = found
            .iter()
            .map(|w| format!("{} {:?} {} {}", w.name.as_ref().unwrap(), w.ttl, w.kind.as_ref().unwrap(), w.content.as_ref().unwrap()))
            .collect();
        assert_eq!(
            shown,
            [
                "www.shop.test. Some(600) CNAME shop.test.",
                "www.shop.test. Some(60) TXT \"a;b\"",
                "mail.shop.test. None MX 10 mx.shop.test.",
                "_sip._tcp.shop.test. None SRV 1 2 5060 sip.shop.test.",
                "sub.shop.test. None NS ns.sub.shop.test.",
            ]
        );
    }

    #[test]
    fn no_file_of_the_host_is_read_and_broken_files_say_where() {
        let zone = "shop.test".parse().unwrap();
        for (text, said) in [("a A 192.0.2.1\n$INCLUDE /etc/passwd", "line 2"), ("a TXT (", "line 1"), ("\n)", "line 2")] {
            assert!(read(text, &zone).unwrap_err().starts_with(said), "{text}");
        }
    }
}
