//! `domain:transfer`: asked for with the name's `authInfo`, answered by the losing registrar or, after some days, by the clock.

use purser_db::{DbError, Tx, params};
use purser_values::{Env, Timestamp};

use super::create::{later, years};
use super::info::proves;
use super::{Domain, Phase, Transfer, named, save};
use crate::code::Code;
use crate::command::Call;
use crate::extension::fee;
use crate::limits::{TRANSFER_S, YEARS};
use crate::names::{DOMAIN, FEE};
use crate::poll::tell;
use crate::reply::{Answer, Outcome, refused};
use crate::xml::Writer;

pub(crate) fn transfer(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["name", "period", "authInfo"])?;
    let mut domain = named(tx, call)?;
    match call.op {
        Some("request") => request(tx, call, domain),
        Some("query") => query(call, &domain),
        Some(op @ ("approve" | "reject" | "cancel")) => {
            let Some(mut pending) = domain.pending_transfer().cloned() else { return Err(refused(Code::NoTransfer, "")) };
            let (who, status) = match op {
                "cancel" => (&pending.gaining, "clientCancelled"),
                "approve" => (&pending.losing, "clientApproved"),
                _ => (&pending.losing, "clientRejected"),
            };
            if who != call.client {
                return Err(refused(Code::Authorisation, "that is the other registrar's to say"));
            }
            pending.status = status.to_owned();
            pending.acted_at = call.now;
            finish(tx, call.env, &mut domain, pending, call.now)?;
            let ended = domain.transfer.as_ref().map(|it| data(&domain.name, it)).unwrap_or_default();
            Ok(Answer { data: Some(ended), ..Answer::new(Code::Done) })
        }
        Some(_) => Err(refused(Code::OptionUnknown, "`op` is `request`, `query`, `approve`, `reject` or `cancel`")),
        None => Err(refused(Code::Missing, "`op` is missing")),
    }
}

fn request(tx: &mut Tx<'_>, call: &Call<'_>, mut domain: Domain) -> Outcome {
    if domain.client == call.client {
        return Err(refused(Code::Ineligible, "the name is yours already"));
    }
    if domain.pending_transfer().is_some() {
        return Err(refused(Code::PendingTransfer, ""));
    }
    domain.allows("TransferProhibited", call.now)?;
    if domain.auth.is_none() || !proves(call, &domain)? {
        return Err(refused(Code::AuthInfo, "a transfer needs the name's `authInfo`"));
    }
    let years = years(call.object)?;
    if years != 1 {
        return Err(refused(Code::Policy, "a transfer brings one year"));
    }
    let label = domain.name.split('.').next().unwrap_or_default().to_owned();
    let price = fee::agreed(call, "transfer", &label, years)?;
    let end = later(domain.expires_at, years).min(call.now.plus_months(YEARS * 12));
    let asked = Transfer {
        status: "pending".to_owned(),
        gaining: call.client.to_owned(),
        asked_at: call.now,
        losing: domain.client.clone(),
        acted_at: call.now.plus_secs(TRANSFER_S),
        expires_at: Some(end),
    };
    let shown = data(&domain.name, &asked);
    tell(tx, call.env, &asked.losing, call.now, "Transfer requested.", Some(&shown))?;
    domain.transfer = Some(asked);
    save(tx, &domain)?;
    let mut answer = Answer { data: Some(shown), ..Answer::new(Code::Pending) };
    if call.speaks(FEE) {
        answer.extension = fee::charged("trnData", price);
    }
    Ok(answer)
}

fn query(call: &Call<'_>, domain: &Domain) -> Outcome {
    let Some(transfer) = &domain.transfer else { return Err(refused(Code::NoTransfer, "")) };
    let involved = [&transfer.gaining, &transfer.losing, &domain.client].contains(&&call.client.to_owned());
    if !involved && !proves(call, domain)? {
        return Err(refused(Code::Authorisation, ""));
    }
    Ok(Answer { data: Some(data(&domain.name, transfer)), ..Answer::new(Code::Done) })
}

/// Writes down how a transfer ended, and tells the one who did not say so.
pub(crate) fn finish(tx: &mut Tx<'_>, env: &Env, domain: &mut Domain, ended: Transfer, now: Timestamp) -> Result<(), DbError> {
    let approved = ended.status.ends_with("Approved");
    let mut ended = ended;
    if approved {
        domain.client.clone_from(&ended.gaining);
        domain.transferred_at = Some(now);
        domain.expires_at = ended.expires_at.unwrap_or(domain.expires_at);
        // Contacts are the losing registrar's, and so is the secret that it knew.
        domain.registrant = None;
        domain.contacts.clear();
        domain.auth = Some(env.bytes::<32>().to_vec());
        domain.statuses.retain(|status| status.starts_with("server"));
        // Its hosts go with it (RFC 5731 section 3.2.4).
        let hosts = "update epp_host set client = $2 where name like $1";
        tx.execute(hosts, params![format!("%.{}", domain.name), ended.gaining])?;
    } else {
        ended.expires_at = None;
    }
    debug_assert_eq!(domain.phase(now), Phase::Live);
    let shown = data(&domain.name, &ended);
    let to: &[&String] = match ended.status.as_str() {
        "clientCancelled" => &[&ended.losing],
        "serverApproved" => &[&ended.gaining, &ended.losing],
        _ => &[&ended.gaining],
    };
    for client in to {
        tell(tx, env, client, now, &format!("Transfer {}.", ended.status), Some(&shown))?;
    }
    domain.transfer = Some(ended);
    save(tx, domain)
}

fn data(name: &str, transfer: &Transfer) -> String {
    let mut w = Writer::default();
    w.open("domain:trnData", &[("xmlns:domain", DOMAIN)])
        .leaf("domain:name", name)
        .leaf("domain:trStatus", &transfer.status)
        .leaf("domain:reID", &transfer.gaining)
        .leaf("domain:reDate", transfer.asked_at)
        .leaf("domain:acID", &transfer.losing)
        .leaf("domain:acDate", transfer.acted_at);
    if let Some(end) = transfer.expires_at {
        w.leaf("domain:exDate", end);
    }
    w.close("domain:trnData");
    w.finish()
}
