//! Mails about an agent's money, to the persons whose grants it holds.

use purser_db::DbError;
use purser_db::jobs::JobFailure;
use purser_identity::{agent, person};
use purser_notify::{Mail, Subject, mail_job};
use purser_values::id::{AgentId, JobId, OrganisationId};

use crate::app::App;

/// One mail to each of them, once for each job, also when the job runs twice. The text is made for the agent's name.
pub async fn send(
    app: &App,
    job: JobId,
    organisation: OrganisationId,
    about: AgentId,
    subject: String,
    text: impl Fn(&str) -> String + Send + 'static,
) -> Result<(), JobFailure> {
    let core = app.core.clone();
    let written = app.core.db.write::<_, DbError, _>(move |tx| {
        let Some(found) = agent::find(tx, &about)? else { return Ok(()) };
        let mut to = Vec::new();
        for grant in purser_identity::grant::of_agent(tx, &about)? {
            if let Some(member) = person::member(tx, &organisation, &grant.person)? {
                to.push(member.person.email);
            }
        }
        to.sort();
        to.dedup();
        for email in to {
            let mail = Mail { to: email.clone(), subject: Subject::new(&subject), text: text(found.name.as_str()) };
            let mut mailing = mail_job(&core.keyring, &core.env, &mail).map_err(|e| DbError::Other(e.to_string()))?;
            mailing.dedupe = Some(format!("notice_mail:{job}:{email}"));
            purser_db::jobs::enqueue(tx, &core.env, &mailing)?;
        }
        Ok(())
    });
    written.await.map_err(|e| JobFailure::Again { why: e.to_string(), limit: None })?;
    app.core.jobs.notify_one();
    Ok(())
}

pub fn unreadable() -> JobFailure {
    JobFailure::Park { why: "the payload does not read back".to_owned() }
}
