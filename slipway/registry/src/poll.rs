//! Messages for registrars (RFC 5730 section 2.9.2.3): kept until they are acknowledged, oldest first.

use purser_db::{DbError, Tx, params};
use purser_values::{Env, Timestamp};

use crate::code::Code;
use crate::command::Call;
use crate::reply::{Answer, Outcome, refused};
use crate::xml::Writer;

/// Leaves a message for a registrar, in the write that changed what it tells of.
pub(crate) fn tell(tx: &mut Tx<'_>, env: &Env, client: &str, now: Timestamp, text: &str, body: Option<&str>) -> Result<(), DbError> {
    let id = hex::encode(env.bytes::<8>());
    tx.execute(
        "insert into epp_message (id, client, created_at, text, body) values ($1, $2, $3, $4, $5)",
        params![id, client, now, text, body],
    )
    .map(drop)
}

/// `poll`; the call's object is the command's own element.
pub(crate) fn poll(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    match call.op {
        Some("req") => request(tx, call),
        Some("ack") => acknowledge(tx, call),
        Some(_) => Err(refused(Code::OptionUnknown, "`op` is `req` or `ack`")),
        None => Err(refused(Code::Missing, "`op` is missing")),
    }
}

fn request(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    let first = tx.query_opt(
        "select id, created_at, text, body from epp_message where client = $1 order by created_at, id limit 1",
        params![call.client],
    )?;
    let Some(row) = first else { return Ok(Answer::new(Code::NoMessages)) };
    let (id, at, text): (String, Timestamp, String) = (row.get("id")?, row.get("created_at")?, row.get("text")?);
    let mut w = Writer::default();
    w.open("msgQ", &[("count", &count(tx, call.client)?.to_string()), ("id", &id)]).leaf("qDate", at).leaf("msg", text).close("msgQ");
    Ok(Answer { queue: Some(w.finish()), data: row.get("body")?, ..Answer::new(Code::Message) })
}

fn acknowledge(tx: &mut Tx<'_>, call: &Call<'_>) -> Outcome {
    let id = call.object.attribute("msgID").ok_or_else(|| refused(Code::Missing, "`msgID` is missing"))?.to_owned();
    if tx.execute("delete from epp_message where client = $1 and id = $2", params![call.client, id])? == 0 {
        return Err(refused(Code::NotFound, "there is no such message"));
    }
    let left = count(tx, call.client)?;
    let mut answer = Answer::new(Code::Done);
    if left > 0 {
        let mut w = Writer::default();
        w.empty("msgQ", &[("count", &left.to_string()), ("id", &id)]);
        answer.queue = Some(w.finish());
    }
    Ok(answer)
}

fn count(tx: &mut Tx<'_>, client: &str) -> Result<i64, DbError> {
    tx.query_one("select count(*) as n from epp_message where client = $1", params![client])?.get("n")
}
