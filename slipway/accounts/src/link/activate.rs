//! `link_activate`: the orchestrator redeemed the code of an agreement.

use purser_db::{DbError, Tx, params};
use purser_values::Timestamp;

/// Whether tokens may hang on the link from now on. A link that was cut since, or whose subject or account is connected otherwise
/// by now, stays as it is. INVARIANT (one-tenant).
pub(crate) fn link_activate(tx: &mut Tx<'_>, id: &str, now: Timestamp) -> Result<bool, DbError> {
    let update = "update cloud_link set state = 'active', since = $2 where id = $1 and state = 'agreed' and not exists (
                      select 1 from cloud_link o where o.state = 'active' and o.issuer = cloud_link.issuer
                          and (o.account = cloud_link.account or (o.subject = cloud_link.subject and o.attested = cloud_link.attested)))";
    tx.execute(update, params![id, now])?;
    Ok(tx.query_opt("select 1 as one from cloud_link where id = $1 and state = 'active'", params![id])?.is_some())
}
