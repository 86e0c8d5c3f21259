//! `domain:renew`, from the end that the command names: a repeated one does not find that end again.

use purser_db::Tx;

use super::create::{later, years};
use super::{Phase, named, save};
use crate::code::Code;
use crate::command::Call;
use crate::extension::fee;
use crate::limits::YEARS;
use crate::names::{DOMAIN, FEE};
use crate::reply::{Answer, Outcome, refused};
use crate::xml::Writer;

pub(crate) fn renew(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["name", "curExpDate", "period"])?;
    let mut domain = named(tx, call)?;
    let from = call.required("curExpDate")?;
    let years = years(call.object)?;
    domain.belongs_to(call)?;
    if domain.phase(call.now) != Phase::Live {
        return Err(refused(Code::Renewal, "the name is deleted"));
    }
    domain.allows("RenewProhibited", call.now)?;
    if domain.expires_at.to_string().get(..10) != Some(from.as_str()) {
        return Err(refused(Code::Range, "the name does not end on `curExpDate`"));
    }
    let end = later(domain.expires_at, years);
    if end > call.now.plus_months(YEARS * 12) {
        return Err(refused(Code::Range, format!("a name ends within {YEARS} years")));
    }
    let label = domain.name.split('.').next().unwrap_or_default();
    let price = fee::agreed(call, "renew", label, years)?;
    domain.expires_at = end;
    domain.renewed_at = Some(call.now);
    save(tx, &domain)?;
    let mut w = Writer::default();
    w.open("domain:renData", &[("xmlns:domain", DOMAIN)])
        .leaf("domain:name", &domain.name)
        .leaf("domain:exDate", end)
        .close("domain:renData");
    let mut answer = Answer::with(w);
    if call.speaks(FEE) {
        answer.extension = fee::charged("renData", price);
    }
    Ok(answer)
}
