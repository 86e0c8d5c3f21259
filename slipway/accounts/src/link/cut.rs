//! `link_cut`: the owner takes an orchestrator's access back. With this write its tokens are dead: access, refresh, codes that wait,
//! and the API tokens that were delivered over the link. What it provisioned stays and is the owner's; what it froze goes on.

use purser_db::{DbError, Tx, params};

use super::get::{Connection, connection};
use super::{LinkState, read};
use crate::account::freeze::release;
use crate::realm::{MailError, Realm};
use crate::session::Session;

#[derive(Debug, thiserror::Error)]
pub enum LinkCutError {
    #[error("there is no such connection")]
    NotFound,
    #[error("sign in again: this needs a sign-in of the last five minutes")]
    NotRecent,
    #[error(transparent)]
    Mail(#[from] MailError),
    #[error(transparent)]
    Store(#[from] DbError),
}

/// What was cut, for whoever tells the orchestrator; nothing when it was cut before.
///
/// # Errors
/// When the link is not of an account of the person's, or the sign-in is old.
pub fn link_cut(tx: &mut Tx<'_>, realm: &Realm, session: &Session, id: &str) -> Result<Option<Connection>, LinkCutError> {
    let (now, person) = (realm.env.now(), &session.person);
    let select = "select l.* from cloud_link l join cloud_membership m on m.account = l.account
                  where l.id = $1 and m.person = $2 and m.role = 'owner'";
    let link = read(&tx.query_opt(select, params![id, person.id])?.ok_or(LinkCutError::NotFound)?)?;
    if !session.is_recent(now) {
        return Err(LinkCutError::NotRecent);
    }
    if link.state == LinkState::Cut {
        return Ok(None);
    }
    let cut = connection(tx, link)?;
    tx.execute("update cloud_link set state = 'cut', cut_at = $2 where id = $1", params![id, now])?;
    tx.execute("delete from provisioning_pair where link = $1", params![id])?;
    tx.execute("delete from provisioning_code where link = $1", params![id])?;
    tx.execute("update api_token set revoked_at = $2 where link = $1 and revoked_at is null", params![id, now])?;
    release(tx, &cut.account.id, &cut.link.id)?;
    let text = format!(
        "You cut the orchestrator {issuer} (organisation {organisation}) off your slipway account \"{account}\".\n\
         Its tokens and those of its agents are dead. What they provisioned stays: {count} resources, on {base}connections\n",
        issuer = cut.link.owner.issuer,
        organisation = cut.link.organisation,
        account = cut.account.organisation,
        count = cut.resources.len(),
        base = realm.public_url,
    );
    realm.mail(tx, &person.email, "An orchestrator was cut off your slipway account", text)?;
    Ok(Some(cut))
}
