//! A contact (RFC 5733), as it was given: kept for its registrar and shown to nobody else without its secret.

pub mod commands;
pub mod update;

use purser_db::{DbError, Row, Tx, params};
use purser_values::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::code::Code;
use crate::command::{Call, only};
use crate::reply::{Outcome, refused};
use crate::store::is_linked;
use crate::xml::{Element, Writer};

pub(crate) const CLIENT_STATUSES: [&str; 3] = ["clientDeleteProhibited", "clientTransferProhibited", "clientUpdateProhibited"];
/// Bounds of an id (clIDType).
pub(crate) const ID: std::ops::RangeInclusive<usize> = 3..=16;

#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub id: String,
    pub roid: String,
    pub client: String,
    pub body: Body,
    pub statuses: Vec<String>,
    pub auth: Option<Vec<u8>>,
    pub created_by: String,
    pub created_at: Timestamp,
    pub updated_by: Option<String>,
    pub updated_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Body {
    pub postal: Vec<Postal>,
    pub voice: Option<String>,
    pub fax: Option<String>,
    pub email: String,
    /// Which parts are to be shown or hidden, as it was said.
    pub disclose: Option<Disclose>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Postal {
    /// `int` or `loc`.
    pub kind: String,
    pub name: String,
    pub organisation: Option<String>,
    pub street: Vec<String>,
    pub city: String,
    pub province: Option<String>,
    pub postcode: Option<String>,
    /// Two letters of ISO 3166-1.
    pub country: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Disclose {
    pub flag: bool,
    /// Names of parts with their type, where they have one.
    pub parts: Vec<(String, Option<String>)>,
}

pub(crate) fn find(tx: &mut Tx<'_>, id: &str) -> Result<Option<Contact>, DbError> {
    tx.query_opt("select * from epp_contact where id = $1", params![id])?.map(|row| read(&row)).transpose()
}

pub(crate) fn named(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome<Contact> {
    let id = call.required("id")?;
    find(tx, &id)?.ok_or_else(|| refused(Code::NotFound, ""))
}

/// Refuses a contact that does not exist or is another registrar's.
pub(crate) fn usable(tx: &mut Tx<'_>, call: &Call<'_>, id: &str) -> Outcome<()> {
    match find(tx, id)? {
        Some(contact) if contact.client == call.client => Ok(()),
        Some(_) => Err(refused(Code::Authorisation, format!("the contact `{id}` is another registrar's"))),
        None => Err(refused(Code::NotFound, format!("there is no contact `{id}`"))),
    }
}

/// Takes over what an element says: all of a new contact, or what a change names.
pub(crate) fn apply(body: &mut Body, element: &Element) -> Outcome<()> {
    only(element, &["id", "postalInfo", "voice", "fax", "email", "authInfo", "disclose"])?;
    for postal in element.all("postalInfo") {
        let kind = match postal.attribute("type") {
            Some(kind @ ("int" | "loc")) => kind,
            _ => return Err(refused(Code::Value, "the `type` of `postalInfo` is `int` or `loc`")),
        };
        let held = body.postal.iter().position(|it| it.kind == kind);
        let new = read_postal(kind, postal, held.and_then(|at| body.postal.get(at)))?;
        match held.and_then(|at| body.postal.get_mut(at)) {
            Some(old) => *old = new,
            None => body.postal.push(new),
        }
    }
    for (name, slot) in [("voice", &mut body.voice), ("fax", &mut body.fax)] {
        if let Some(number) = element.child(name) {
            let text = number.token();
            let plain = text.strip_prefix('+').and_then(|rest| rest.split_once('.'));
            let fits = plain.is_some_and(|(a, b)| {
                (1..=3).contains(&a.len()) && (1..=14).contains(&b.len()) && [a, b].iter().all(|it| it.bytes().all(|c| c.is_ascii_digit()))
            });
            if !text.is_empty() && !fits {
                return Err(refused(Code::Value, format!("`{name}` reads like `+1.5551234`")));
            }
            *slot = Some(text).filter(|it| !it.is_empty());
        }
    }
    if let Some(email) = element.child("email").map(Element::token) {
        if email.parse::<purser_values::name::Email>().is_err() {
            return Err(refused(Code::Value, "`email` is no address"));
        }
        body.email = email;
    }
    if let Some(disclose) = element.child("disclose") {
        let flag = matches!(disclose.attribute("flag"), Some("1" | "true"));
        only(disclose, &["name", "org", "addr", "voice", "fax", "email"])?;
        let parts = disclose.children.iter().map(|it| (it.name.clone(), it.attribute("type").map(str::to_owned))).collect();
        body.disclose = Some(Disclose { flag, parts });
    }
    Ok(())
}

fn read_postal(kind: &str, element: &Element, old: Option<&Postal>) -> Outcome<Postal> {
    only(element, &["name", "org", "addr"])?;
    let addr = element.child("addr");
    let bounded = |text: String| {
        if text.chars().count() > 255 { Err(refused(Code::Value, "a line of an address has 255 characters at most")) } else { Ok(text) }
    };
    let of = |parent: Option<&Element>, name: &str| parent.and_then(|it| it.child(name)).map(Element::token).map(&bounded).transpose();
    let missing = |name: &str| refused(Code::Missing, format!("`{name}` is missing"));
    let country = of(addr, "cc")?.or_else(|| old.filter(|_| addr.is_none()).map(|it| it.country.clone())).ok_or_else(|| missing("cc"))?;
    if country.len() != 2 || !country.bytes().all(|b| b.is_ascii_uppercase()) {
        return Err(refused(Code::Value, "`cc` is two capital letters"));
    }
    let kept = old.filter(|_| addr.is_none());
    let street: Vec<String> = addr.into_iter().flat_map(|it| it.all("street")).map(Element::token).map(&bounded).collect::<Outcome<_>>()?;
    if street.len() > 3 {
        return Err(refused(Code::Policy, "`street` has three lines at most"));
    }
    let postcode = of(addr, "pc")?.or_else(|| kept.and_then(|it| it.postcode.clone()));
    if postcode.as_ref().is_some_and(|it| it.chars().count() > 16) {
        return Err(refused(Code::Value, "`pc` has 16 characters at most"));
    }
    Ok(Postal {
        kind: kind.to_owned(),
        name: of(Some(element), "name")?
            .or_else(|| old.map(|it| it.name.clone()))
            .filter(|it| !it.is_empty())
            .ok_or_else(|| missing("name"))?,
        organisation: of(Some(element), "org")?.or_else(|| old.and_then(|it| it.organisation.clone())),
        street: kept.map_or(street, |it| it.street.clone()),
        city: of(addr, "city")?.or_else(|| kept.map(|it| it.city.clone())).filter(|it| !it.is_empty()).ok_or_else(|| missing("city"))?,
        province: of(addr, "sp")?.or_else(|| kept.and_then(|it| it.province.clone())),
        postcode,
        country,
    })
}

/// Every status that is shown.
pub(crate) fn shown(tx: &mut Tx<'_>, contact: &Contact) -> Result<Vec<String>, DbError> {
    let mut all = contact.statuses.clone();
    if contact.statuses.is_empty() {
        all.push("ok".to_owned());
    }
    if is_linked(tx, "contact", &contact.id)? {
        all.push("linked".to_owned());
    }
    Ok(all)
}

pub(crate) fn save(tx: &mut Tx<'_>, c: &Contact) -> Result<(), DbError> {
    tx.execute(
        "insert into epp_contact (id, roid, client, body, statuses, auth, created_by, created_at) values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (id) do update set body = excluded.body, statuses = excluded.statuses, auth = excluded.auth",
        params![c.id, c.roid, c.client, json!(c.body), json!(c.statuses), c.auth, c.created_by, c.created_at],
    )?;
    tx.execute("update epp_contact set updated_by = $2, updated_at = $3 where id = $1", params![c.id, c.updated_by, c.updated_at]).map(drop)
}

/// Writes what a contact says of itself.
pub(crate) fn render(w: &mut Writer, body: &Body) {
    for postal in &body.postal {
        w.open("contact:postalInfo", &[("type", &postal.kind)]).leaf("contact:name", &postal.name);
        if let Some(organisation) = &postal.organisation {
            w.leaf("contact:org", organisation);
        }
        w.open("contact:addr", &[]);
        for line in &postal.street {
            w.leaf("contact:street", line);
        }
        w.leaf("contact:city", &postal.city);
        for (tag, part) in [("contact:sp", &postal.province), ("contact:pc", &postal.postcode)] {
            if let Some(part) = part {
                w.leaf(tag, part);
            }
        }
        w.leaf("contact:cc", &postal.country).close("contact:addr").close("contact:postalInfo");
    }
    for (tag, part) in [("contact:voice", &body.voice), ("contact:fax", &body.fax)] {
        if let Some(part) = part {
            w.leaf(tag, part);
        }
    }
    w.leaf("contact:email", &body.email);
}

fn read(row: &Row) -> Result<Contact, DbError> {
    Ok(Contact {
        id: row.get("id")?,
        roid: row.get("roid")?,
        client: row.get("client")?,
        body: row.json("body")?,
        statuses: row.json("statuses")?,
        auth: row.get("auth")?,
        created_by: row.get("created_by")?,
        created_at: row.get("created_at")?,
        updated_by: row.get("updated_by")?,
        updated_at: row.get("updated_at")?,
    })
}
