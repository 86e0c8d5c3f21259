//! Mail over SMTP against a server that is not ours: aiosmtpd with TLS and a login.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use purser_crypto::seal::Keyring;
use purser_db::jobs::{Handler, Job, JobFailure};
use purser_notify::{Encryption, JOB_KIND, Mail, Relay, Subject, Transport, handler, mail_job};
use purser_values::id::JobId;
use purser_values::{Env, Secret, Timestamp};
use serde_json::Value;

/// Where the packages of the server are; `cargo xtask test` brings them in.
const PACKAGES: &str = "PURSER_MAIL_PYTHONPATH";

struct Server {
    child: Child,
    lines: BufReader<ChildStdout>,
    port: u16,
    authority: String,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(tls: &str, busy: u32) -> Option<Self> {
        let Some(packages) = std::env::var_os(PACKAGES) else {
            eprintln!("SMTP was not tested: {PACKAGES} is not set");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/peers/mail/server.py"));
        let mut child = Command::new("python3")
            .arg(script)
            .arg("--certificate")
            .arg(&certificate)
            .arg("--key")
            .arg(&key)
            .args(["--tls", tls, "--busy", &busy.to_string()])
            .env("PYTHONPATH", packages)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let mut server = Self { child, lines, port: 0, authority: made.cert.pem(), _folder: folder };
        server.port = u16::try_from(server.says()["port"].as_u64().unwrap()).unwrap();
        Some(server)
    }

    /// What it prints next.
    fn says(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the mail server ended: {line}"))
    }

    fn relay(&self, encryption: Encryption, password: &str) -> Relay {
        Relay {
            host: "localhost".parse().unwrap(),
            port: self.port,
            encryption,
            authority: Some(self.authority.clone().into_bytes()),
            login: Some(("purser".to_owned(), Secret::new(password.to_owned()))),
        }
    }
}

/// The job of one mail and what runs it.
fn job(relay: &Relay, to: &str) -> (Handler, Job) {
    let (env, _) = Env::test(Timestamp::from_secs(1_795_435_200), 1);
    let keyring = Keyring::from_bytes(&Secret::new([7; 32])).unwrap();
    let mail = Mail { to: to.parse().unwrap(), subject: Subject::new("Your sign-in code"), text: "your code is 123456\n".to_owned() };
    let payload = mail_job(&keyring, &env, &mail).unwrap().payload;
    let transport = Transport::smtp(relay, "purser@purser.example".parse().unwrap()).unwrap();
    (handler(keyring, transport), Job { id: JobId::mint(&env), kind: JOB_KIND.to_owned(), payload, attempts: 1 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_taken_over_tls_after_a_login_both_ways() {
    for (tls, encryption) in [("starttls", Encryption::StartTls), ("implicit", Encryption::Implicit)] {
        let Some(mut server) = Server::start(tls, 0) else { return };
        let (run, job) = job(&server.relay(encryption, "open sesame"), "ada@example.test");
        run(job).await.unwrap();
        let taken = server.says();
        assert_eq!((&taken["encrypted"], &taken["login"]), (&Value::Bool(true), &Value::from("purser")), "{tls}: {taken}");
        assert_eq!((&taken["sender"], &taken["to"][0]), (&Value::from("purser@purser.example"), &Value::from("ada@example.test")), "{tls}");
        let text = taken["text"].as_str().unwrap();
        assert!(text.contains("your code is 123456") && text.contains("Subject: Your sign-in code"), "{tls}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_busy_is_asked_again_and_one_that_says_never_is_not() {
    let Some(mut server) = Server::start("starttls", 1) else { return };
    let relay = server.relay(Encryption::StartTls, "open sesame");
    let (run, one) = job(&relay, "ada@example.test");
    let busy = run(one.clone()).await.unwrap_err();
    assert!(matches!(&busy, JobFailure::Again { why, .. } if why.contains("451") || why.contains("try again")), "{busy:?}");
    assert_eq!(server.says()["refused"], true);
    run(one).await.unwrap();
    assert_eq!(server.says()["to"][0], "ada@example.test");
    let (run, lost) = job(&relay, "nobody@example.test");
    let never = run(lost).await.unwrap_err();
    assert!(matches!(&never, JobFailure::Park { .. }), "{never:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_login_and_no_mail_goes_where_it_could_be_read_or_to_a_stranger() {
    // A server without STARTTLS hears nothing of the login.
    let Some(plain) = Server::start("none", 0) else { return };
    let (run, one) = job(&plain.relay(Encryption::StartTls, "open sesame"), "ada@example.test");
    assert!(matches!(run(one).await, Err(JobFailure::Again { .. })));
    // A certificate that nobody vouches for.
    let server = Server::start("starttls", 0).unwrap();
    for encryption in [Encryption::StartTls, Encryption::Implicit] {
        let unknown = Relay { authority: None, ..server.relay(encryption, "open sesame") };
        let (run, one) = job(&unknown, "ada@example.test");
        assert!(matches!(run(one).await, Err(JobFailure::Again { .. })), "{encryption:?}");
    }
    // A wrong password is the operator's to mend: the mail waits.
    let (run, one) = job(&server.relay(Encryption::StartTls, "wrong"), "ada@example.test");
    assert!(matches!(run(one).await, Err(JobFailure::Again { .. })));
}
