//! `domain:check`, with prices for whoever asks for them (RFC 8748).

use purser_db::Tx;

use super::find;
use crate::command::Call;
use crate::extension::fee;
use crate::names::{DOMAIN, FEE};
use crate::reply::{Answer, Outcome};
use crate::rules::Unfit;
use crate::xml::Writer;

pub(crate) fn check(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    let (mut w, mut prices) = (Writer::default(), Writer::default());
    let wanted = call.extended(FEE, "check").map(fee::Wanted::read).transpose()?;
    w.open("domain:chkData", &[("xmlns:domain", DOMAIN)]);
    for asked in call.asked("name")? {
        let (reason, label) = match call.rules.label(&asked) {
            Err(unfit) => (Some(why(unfit)), None),
            Ok((name, label)) => {
                let taken = find(tx, name.as_str())?.is_some();
                (taken.then_some("in use"), Some(label))
            }
        };
        w.open("domain:cd", &[]).leaf_with("domain:name", &[("avail", if reason.is_none() { "1" } else { "0" })], &asked);
        if let Some(reason) = reason {
            w.leaf("domain:reason", reason);
        }
        w.close("domain:cd");
        if let Some(wanted) = &wanted {
            wanted.price(&mut prices, call.rules, &asked, label.as_deref());
        }
    }
    w.close("domain:chkData");
    let mut answer = Answer::with(w);
    if wanted.is_some() {
        answer.extension = fee::check_data(call.rules, &prices.finish());
    }
    Ok(answer)
}

/// Why a name cannot be registered, in 32 characters at most (reasonType).
pub(crate) const fn why(unfit: Unfit) -> &'static str {
    match unfit {
        Unfit::Form => "no domain name",
        Unfit::Zone => "not kept here",
        Unfit::Label => "one plain label before the zone",
    }
}
