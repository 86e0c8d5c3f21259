//! Mail as a job: sealed in the queue, opened next to the transport.

use std::sync::Arc;

use purser_crypto::encoding::{b64url, b64url_decode};
use purser_crypto::seal::{Keyring, SealError};
use purser_db::jobs::{Handler, Job, JobFailure, NewJob};
use purser_values::id::MessageId;
use purser_values::{Env, Timestamp};
use serde::Deserialize;
use serde_json::json;

use crate::mail::Mail;
use crate::transport::Transport;

/// The kind under which mail waits in the job queue.
pub const JOB_KIND: &str = "mail";
/// Tries before a mail is parked for a person to look at.
const TRIES: i64 = 12;

#[derive(Deserialize)]
struct Payload {
    message: MessageId,
    at: Timestamp,
    sealed: String,
}

/// A job that sends `mail`. The queue holds only ciphertext.
///
/// # Errors
/// When the mail cannot be sealed.
pub fn mail_job(keyring: &Keyring, env: &Env, mail: &Mail) -> Result<NewJob, SealError> {
    let message = MessageId::mint(env);
    let plain = serde_json::to_vec(mail).map_err(|_| SealError::Seal)?;
    let sealed = b64url(&keyring.seal(env, &purpose(&message), &plain)?);
    Ok(NewJob::now(env, JOB_KIND, json!({ "message": message, "at": env.now(), "sealed": sealed })))
}

/// Sends what [`mail_job`] enqueued.
#[must_use]
pub fn handler(keyring: Keyring, transport: Transport) -> Handler {
    let transport = Arc::new(transport);
    Arc::new(move |job| {
        let (keyring, transport) = (keyring.clone(), transport.clone());
        Box::pin(async move {
            let (payload, mail) = open(&keyring, &job).map_err(|why| JobFailure::Park { why: why.to_owned() })?;
            let sent = transport.send(&mail, payload.message.as_str(), payload.at).await;
            sent.map_err(|e| match e.is_final() {
                true => JobFailure::Park { why: e.to_string() },
                false => JobFailure::Again { why: e.to_string(), limit: Some(TRIES) },
            })
        })
    })
}

fn open(keyring: &Keyring, job: &Job) -> Result<(Payload, Mail), &'static str> {
    let payload = Payload::deserialize(&job.payload).map_err(|_| "the payload is not a mail")?;
    let sealed = b64url_decode(&payload.sealed).ok_or("the payload is not a mail")?;
    let plain = keyring.open(&purpose(&payload.message), &sealed).map_err(|_| "the mail cannot be opened")?;
    let mail = serde_json::from_slice(plain.expose()).map_err(|_| "the payload is not a mail")?;
    Ok((payload, mail))
}

fn purpose(message: &MessageId) -> String {
    format!("mail/{message}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Subject;
    use purser_values::Secret;

    #[tokio::test]
    async fn a_mail_waits_sealed_and_arrives_once_however_often_its_job_runs() {
        let (env, _) = Env::test(Timestamp::from_secs(1_795_435_200), 1);
        let keyring = Keyring::from_bytes(&Secret::new([7; 32])).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mail = Mail { to: "ada@example.test".parse().unwrap(), subject: Subject::new("code"), text: "your code is 123456".to_owned() };
        let job = mail_job(&keyring, &env, &mail).unwrap();
        assert!(!job.payload.to_string().contains("123456") && !job.payload.to_string().contains("ada"));
        let transport = Transport::folder(folder.path().to_owned(), "purser@localhost".parse().unwrap());
        let run = handler(keyring, transport);
        let job = Job { id: purser_values::id::JobId::mint(&env), kind: JOB_KIND.to_owned(), payload: job.payload, attempts: 1 };
        run(job.clone()).await.unwrap();
        run(job.clone()).await.unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|f| f.unwrap().path()).collect();
        assert_eq!(files.len(), 1);
        assert!(std::fs::read_to_string(&files[0]).unwrap().contains("your code is 123456"));
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);

        let mut moved = job;
        moved.payload["message"] = json!(MessageId::mint(&env));
        assert!(matches!(run(moved).await, Err(JobFailure::Park { .. })));
    }
}
