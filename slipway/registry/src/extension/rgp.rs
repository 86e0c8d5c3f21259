//! Grace periods and the restoration of deleted names (RFC 3915).

use purser_values::Timestamp;

use crate::code::Code;
use crate::domain::{Domain, Phase};
use crate::names::RGP;
use crate::reply::{Outcome, refused};
use crate::xml::{Element, Writer};

/// What a report must say.
const REPORT: [&str; 6] = ["preData", "postData", "delTime", "resTime", "resReason", "statement"];

/// `rgp:update`: the request puts the name into pendingRestore, the report brings it back.
pub(crate) fn restore(update: &Element, domain: &mut Domain, now: Timestamp) -> Outcome<Code> {
    let restore = update.child("restore").ok_or_else(|| refused(Code::Missing, "`restore` is missing"))?;
    match (restore.attribute("op"), domain.phase(now)) {
        (Some("request"), Phase::Redemption) => {
            domain.restored_at = Some(now);
            Ok(Code::Done)
        }
        (Some("report"), Phase::PendingRestore) => {
            let report = restore.child("report").ok_or_else(|| refused(Code::Missing, "`report` is missing"))?;
            if let Some(missing) = REPORT.iter().find(|name| report.child(name).is_none()) {
                return Err(refused(Code::Missing, format!("`{missing}` is missing")));
            }
            domain.deleted_at = None;
            domain.restored_at = None;
            // A name that ended meanwhile comes back with a year, which is what a restoration costs.
            if domain.expires_at <= now {
                domain.expires_at = now.plus_months(12);
            }
            Ok(Code::Done)
        }
        (Some("request" | "report"), _) => Err(refused(Code::Status, "the name is in no state for that")),
        _ => Err(refused(Code::Value, "`op` is `request` or `report`")),
    }
}

pub(crate) fn info(graces: &[&str]) -> String {
    data("rgp:infData", graces)
}

pub(crate) fn updated(graces: &[&str]) -> String {
    data("rgp:upData", graces)
}

fn data(tag: &str, graces: &[&str]) -> String {
    if graces.is_empty() {
        return String::new();
    }
    let mut w = Writer::default();
    w.open(tag, &[("xmlns:rgp", RGP)]);
    for grace in graces {
        w.empty("rgp:rgpStatus", &[("s", grace)]);
    }
    w.close(tag);
    w.finish()
}
