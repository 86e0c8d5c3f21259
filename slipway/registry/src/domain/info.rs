//! `domain:info`. Whoever it is not kept for sees that it exists and where it is delegated to, and everything with the right `authInfo`.

use purser_db::{Tx, params};

use super::{Domain, named};
use crate::code::Code;
use crate::command::{Call, auth_info};
use crate::extension::{rgp, secdns};
use crate::names::{DOMAIN, RGP, SECDNS};
use crate::reply::{Answer, Outcome, refused};
use crate::xml::Writer;

pub(crate) fn info(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    call.only(&["name", "authInfo"])?;
    let domain = named(tx, call)?;
    let proved = proves(call, &domain)?;
    let full = proved || domain.client == call.client;
    let hosts = call.object.child("name").and_then(|name| name.attribute("hosts")).unwrap_or("all");
    let (delegated, subordinate) = match hosts {
        "all" => (true, true),
        "del" => (true, false),
        "sub" => (false, true),
        "none" => (false, false),
        _ => return Err(refused(Code::Value, "`hosts` is `all`, `del`, `sub` or `none`")),
    };
    let below = if subordinate { subordinates(tx, &domain.name)? } else { Vec::new() };
    let mut w = Writer::default();
    w.open("domain:infData", &[("xmlns:domain", DOMAIN)]).leaf("domain:name", &domain.name).leaf("domain:roid", &domain.roid);
    for status in domain.shown(call.now) {
        w.empty("domain:status", &[("s", &status)]);
    }
    if full {
        if let Some(registrant) = &domain.registrant {
            w.leaf("domain:registrant", registrant);
        }
        for contact in &domain.contacts {
            w.leaf_with("domain:contact", &[("type", &contact.kind)], &contact.id);
        }
    }
    if delegated && !domain.name_servers.is_empty() {
        w.open("domain:ns", &[]);
        for server in &domain.name_servers {
            w.leaf("domain:hostObj", server);
        }
        w.close("domain:ns");
    }
    for host in below {
        w.leaf("domain:host", host);
    }
    w.leaf("domain:clID", &domain.client).leaf("domain:crID", &domain.created_by).leaf("domain:crDate", domain.created_at);
    if let (Some(by), Some(at)) = (&domain.updated_by, domain.updated_at) {
        w.leaf("domain:upID", by).leaf("domain:upDate", at);
    }
    w.leaf("domain:exDate", domain.expires_at);
    if let Some(at) = domain.transferred_at {
        w.leaf("domain:trDate", at);
    }
    w.close("domain:infData");
    let mut answer = Answer::with(w);
    if call.speaks(RGP) {
        answer.extension.push_str(&rgp::info(&domain.graces(call.now)));
    }
    if call.speaks(SECDNS) && !domain.ds.is_empty() {
        answer.extension.push_str(&secdns::info(&domain.ds));
    }
    Ok(answer)
}

/// Whether the right `authInfo` came along; a wrong one is an error, or it could be guessed in the dark.
pub(crate) fn proves(call: &Call<'_>, domain: &Domain) -> Outcome<bool> {
    let Some(given) = auth_info(call.object)? else { return Ok(false) };
    let right = match &domain.auth {
        Some(kept) => call.pepper.is(kept, "domain", &domain.name, &given),
        // Names of the older table have no secret: their registrar is asked nothing, and nobody else can prove anything.
        None => domain.client == call.client,
    };
    if right { Ok(true) } else { Err(refused(Code::AuthInfo, "")) }
}

/// The hosts that lie below the name.
pub(crate) fn subordinates(tx: &mut Tx<'_>, name: &str) -> Outcome<Vec<String>> {
    let rows = tx.query("select name from epp_host where name like $1 order by name", params![format!("%.{name}")])?;
    let all: Result<Vec<String>, _> = rows.iter().map(|row| row.get("name")).collect();
    // A label may hold no wildcard of `like`, but `_` is none of ours to trust.
    Ok(all?.into_iter().filter(|host| host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))).collect())
}
