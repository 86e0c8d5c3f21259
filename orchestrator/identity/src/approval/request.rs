//! `approval_request`: ask for a person's yes.

use purser_authority::action::ApprovalRequest;
use purser_authority::{Caller, Denied, Done, Event, Permit, Role};
use purser_db::{DbError, Tx, params};
use purser_values::id::{ApprovalId, OrganisationId, PersonId};
use purser_values::name::Email;
use purser_values::{Sha256Digest, Timestamp};
use serde_json::Value;

use super::{Approval, ApprovalError, ApprovalState, find};
use crate::limits::{APPROVAL_LIFE_S, APPROVAL_REASON_CHARS, APPROVALS_PER_REQUESTER};
use crate::realm::Realm;
use crate::visible::is_hidden;
use crate::{agent, person};

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    pub verb: String,
    /// The canonical text of the request, composed by whoever will do it.
    pub request: String,
    /// In one line, for the mail.
    pub summary: String,
    /// What the page says beside it.
    pub facts: Value,
    pub reason: String,
    pub second_person: bool,
    /// Whether its price is prose, so that whoever says yes says the most it may cost.
    pub open_price: bool,
}

/// Records the request and tells those who can decide. The same request that waits already is answered with the one that waits.
///
/// # Errors
/// [`ApprovalError::Reason`], [`ApprovalError::TooMany`], or a caller that has no organisation.
pub fn approval_request(
    tx: &mut Tx<'_>,
    realm: &Realm,
    permit: &Permit<ApprovalRequest>,
    ask: &Ask,
) -> Result<Done<Approval>, ApprovalError> {
    let caller = permit.caller();
    let (organisation, requester) = caller.organisation().zip(caller.person()).ok_or(Denied::Anonymous)?;
    let reason = ask.reason.trim();
    let length = reason.chars().count();
    if length == 0 || length > APPROVAL_REASON_CHARS || reason.chars().any(|c| is_hidden(c) && c != '\n') {
        return Err(ApprovalError::Reason);
    }
    let (now, digest) = (realm.env.now(), Sha256Digest::of(ask.request.as_bytes()));
    let agent = caller.agent();
    let waiting = waiting_of(tx, organisation, caller, now)?;
    if let Some(same) = waiting.iter().find(|(_, of)| *of == digest) {
        return Ok(Done::quiet(find(tx, &same.0, now)?.ok_or(ApprovalError::Unknown)?));
    }
    if waiting.len() >= APPROVALS_PER_REQUESTER {
        return Err(ApprovalError::TooMany);
    }
    let grant = if let Caller::Agent { grant, .. } = caller { Some(grant.clone()) } else { None };
    let approval = Approval {
        id: ApprovalId::mint(&realm.env),
        organisation: organisation.clone(),
        agent: agent.cloned(),
        grant,
        requester: requester.clone(),
        verb: ask.verb.clone(),
        request: ask.request.clone(),
        digest,
        facts: ask.facts.clone(),
        reason: reason.to_owned(),
        second_person: ask.second_person,
        open_price: ask.open_price,
        most: None,
        state: ApprovalState::Pending,
        created_at: now,
        expires_at: now.plus_secs(APPROVAL_LIFE_S),
    };
    insert(tx, &approval)?;
    let event = Event::done(permit.verb(), caller, approval.id.as_str()).related([&digest.to_string()]).with(serde_json::json!({
        "verb": ask.verb, "digest": digest, "reason": reason, "second_person": ask.second_person,
    }));
    let mut done = Done::with_event(approval, event);
    let text = notice(realm, &asker(tx, &done.value)?, &done.value, &ask.summary);
    for email in approvers(tx, &done.value)? {
        let job = realm.mail(&email, "An approval is asked of you", text.clone())?;
        done.jobs.push(job);
    }
    Ok(done)
}

/// What the caller has asked for and nobody has decided.
fn waiting_of(
    tx: &mut Tx<'_>,
    organisation: &OrganisationId,
    caller: &Caller,
    now: Timestamp,
) -> Result<Vec<(ApprovalId, Sha256Digest)>, DbError> {
    let select = "select id, digest from approval where organisation = $1 and requester = $2 and coalesce(agent, '') = $3
                  and state = 'pending' and expires_at > $4 and not exists (
                      select 1 from agent_grant g where g.id = approval.grant_id and (g.revoked_at is not null or g.expires_at <= $4))";
    let agent = caller.agent().map(ToString::to_string).unwrap_or_default();
    let rows = tx.query(select, params![organisation, caller.person(), agent, now])?;
    rows.iter().map(|row| Ok((row.parse("id")?, row.get("digest")?))).collect()
}

fn insert(tx: &mut Tx<'_>, approval: &Approval) -> Result<(), DbError> {
    let insert = "insert into approval (id, organisation, agent, grant_id, requester, verb, request, digest, facts, reason, second_person,
                      state, created_at, expires_at, open_price)
                  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'pending', $12, $13, $14)";
    let Approval { id, organisation, agent, grant, requester, verb, request, digest, facts, reason, .. } = approval;
    let who = params![id, organisation, agent, grant, requester];
    let what = params![verb, request, digest, facts, reason, i64::from(approval.second_person), approval.created_at, approval.expires_at];
    let price = params![i64::from(approval.open_price)];
    tx.execute(insert, &[who, what, price].concat()).map(drop)
}

/// Those who can decide: owners and admins, and the person in whose name the agent acts unless a second one is wanted.
fn approvers(tx: &mut Tx<'_>, approval: &Approval) -> Result<Vec<Email>, DbError> {
    let select = "select p.id as person, p.email as email, m.role as role from membership m join person p on p.id = m.person
                  where m.organisation = $1 order by m.created_at, p.id limit 50";
    let mut found = Vec::new();
    for row in tx.query(select, params![approval.organisation])? {
        let (person, role): (PersonId, Role) = (row.parse("person")?, row.parse("role")?);
        if may_decide(approval, &person, role) {
            found.push(row.parse("email")?);
        }
    }
    Ok(found)
}

/// INVARIANT (nobody-approves-their-own): the person who asked does not count, nor, where a second one is wanted, the person in
/// whose name an agent asked.
pub(super) fn may_decide(approval: &Approval, person: &PersonId, role: Role) -> bool {
    let own = approval.requester == *person;
    match (&approval.agent, own) {
        (None, true) => false,
        (Some(_), true) => !approval.second_person && matches!(role, Role::Owner | Role::Admin | Role::Member),
        (_, false) => matches!(role, Role::Owner | Role::Admin),
    }
}

/// Who asks, as a person knows them.
fn asker(tx: &mut Tx<'_>, approval: &Approval) -> Result<String, DbError> {
    Ok(match &approval.agent {
        Some(id) => match agent::find(tx, id)? {
            Some(agent) => format!("The agent \"{}\" (it calls itself that, {id})", agent.name),
            None => format!("The agent {id}"),
        },
        None => person::member(tx, &approval.organisation, &approval.requester)?
            .map_or_else(|| format!("The person {}", approval.requester), |member| member.person.email.to_string()),
    })
}

fn notice(realm: &Realm, who: &str, approval: &Approval, summary: &str) -> String {
    format!(
        "{who} asks for a person's yes:\n\n    {summary}\n\nIt says why (nobody has verified this):\n\n    {}\n\n\
         Look at it and decide at {}\n\nUntil {} nothing of it happens without you; after that the request is gone.\n",
        approval.reason.replace('\n', "\n    "),
        realm.url(&format!("/approvals/{}", approval.id)),
        approval.expires_at.for_people(),
    )
}
