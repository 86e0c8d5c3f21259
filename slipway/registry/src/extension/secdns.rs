//! DS records of a domain (RFC 5910), as `dsData`; keys from which we would compute them are not taken.

use crate::code::Code;
use crate::command::only;
use crate::domain::Ds;
use crate::limits::DS;
use crate::names::SECDNS;
use crate::reply::{Outcome, refused};
use crate::xml::{Element, Writer};

/// The records that `secDNS:create`, `add` or `rem` lists.
pub(crate) fn all(element: &Element) -> Outcome<Vec<Ds>> {
    if element.child("keyData").is_some() {
        return Err(refused(Code::Policy, "DS records are taken as `dsData`"));
    }
    let all: Vec<Ds> = element.all("dsData").map(ds).collect::<Outcome<_>>()?;
    match all.len() {
        0 => Err(refused(Code::Missing, "`dsData` is missing")),
        n if n > DS => Err(refused(Code::Policy, format!("at most {DS} DS records"))),
        _ => Ok(all),
    }
}

fn ds(element: &Element) -> Outcome<Ds> {
    only(element, &["keyTag", "alg", "digestType", "digest", "keyData"])?;
    let text = |name: &str| element.child(name).map(Element::token).unwrap_or_default();
    let bad = |what: &str| refused(Code::Value, format!("`{what}` of a DS record cannot be read"));
    let digest_type: u8 = text("digestType").parse().map_err(|_| bad("digestType"))?;
    let digest = text("digest").to_ascii_uppercase();
    let length = match digest_type {
        1 => 40,
        2 => 64,
        4 => 96,
        _ => return Err(refused(Code::Range, "the digest of a DS record is SHA-1, SHA-256 or SHA-384")),
    };
    if digest.len() != length || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(bad("digest"));
    }
    Ok(Ds {
        key_tag: text("keyTag").parse().map_err(|_| bad("keyTag"))?,
        algorithm: text("alg").parse().map_err(|_| bad("alg"))?,
        digest_type,
        digest,
    })
}

/// `secDNS:update`.
pub(crate) fn change(update: &Element, held: &mut Vec<Ds>) -> Outcome<()> {
    if update.attribute("urgent").is_some_and(|it| matches!(it, "1" | "true")) {
        return Err(refused(Code::OptionUnknown, "there is no `urgent` way"));
    }
    let (rem, add) = (update.child("rem"), update.child("add"));
    if update.child("chg").is_some() {
        return Err(refused(Code::OptionUnknown, "`maxSigLife` is not kept"));
    }
    if rem.or(add).is_none() {
        return Err(refused(Code::Missing, "there is nothing to change"));
    }
    if let Some(rem) = rem {
        match rem.child("all").map(Element::token).as_deref() {
            Some("1" | "true") => held.clear(),
            Some(_) => return Err(refused(Code::Policy, "`all` is `true`")),
            None => {
                let gone = all(rem)?;
                if gone.iter().any(|it| !held.contains(it)) {
                    return Err(refused(Code::Policy, "a DS record cannot be removed, because it is not there"));
                }
                held.retain(|it| !gone.contains(it));
            }
        }
    }
    for one in add.map(all).transpose()?.unwrap_or_default() {
        if !held.contains(&one) {
            held.push(one);
        }
    }
    if held.len() > DS { Err(refused(Code::Policy, format!("at most {DS} DS records"))) } else { Ok(()) }
}

pub(crate) fn info(held: &[Ds]) -> String {
    let mut w = Writer::default();
    w.open("secDNS:infData", &[("xmlns:secDNS", SECDNS)]);
    for one in held {
        w.open("secDNS:dsData", &[])
            .leaf("secDNS:keyTag", one.key_tag)
            .leaf("secDNS:alg", one.algorithm)
            .leaf("secDNS:digestType", one.digest_type)
            .leaf("secDNS:digest", &one.digest)
            .close("secDNS:dsData");
    }
    w.close("secDNS:infData");
    w.finish()
}
