//! One connection: greeting, sign-in, commands one after another, end.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use purser_db::{DbError, Tx};
use purser_values::{Secret, Sha256Digest};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::client::{SignIn, sign_in};
use crate::code::Code;
use crate::command::{Call, Command, perform, transaction};
use crate::doors::Net;
use crate::frame;
use crate::limits::{IDLE, SIGN_IN, TRIES};
use crate::names::{DOMAIN, EPP, EXTENSIONS, OBJECTS};
use crate::registry::{Place, Registry};
use crate::reply::{Answer, Refusal, document, render};
use crate::xml::{self, Element, XmlError};

/// A registrar that has signed in.
struct Signed {
    client: String,
    objects: Vec<String>,
    extensions: Vec<String>,
    _place: Place,
}

/// What a frame leads to.
enum Next {
    Say(String),
    /// Say it and end.
    End(String),
    /// End without a word.
    Silence,
}

/// The other side of a connection.
pub(crate) struct Peer {
    /// The digest of the certificate that it has shown.
    pub certificate: Option<String>,
    /// Where it is; absent for a registrar in this process.
    pub from: Option<Net>,
    /// When it must have signed in: one deadline, however much it says and however slowly.
    pub until: Instant,
}

impl Peer {
    pub(crate) fn here() -> Self {
        Self { certificate: None, from: None, until: Instant::now() + SIGN_IN }
    }
}

/// Serves one connection to its end.
pub(crate) async fn run(registry: &Registry, stream: &mut (impl AsyncRead + AsyncWrite + Unpin), peer: Peer) -> io::Result<()> {
    let (mut signed, mut tries) = (None, 0);
    let entry = enter(registry, stream, &peer, &mut signed, &mut tries);
    // Whatever is under way when the time is over is not waited for.
    if timeout_at(peer.until, entry).await.unwrap_or(Ok(Some(())))?.is_some() {
        return Ok(());
    }
    while step(registry, stream, &peer, &mut signed, &mut tries, IDLE).await?.is_none() {}
    Ok(())
}

/// Everything before the sign-in; nothing when it has succeeded.
async fn enter(
    registry: &Registry,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: &Peer,
    signed: &mut Option<Signed>,
    tries: &mut u32,
) -> io::Result<Option<()>> {
    frame::write(stream, &greeting(registry)).await?;
    while signed.is_none() {
        if step(registry, stream, peer, signed, tries, SIGN_IN).await?.is_some() {
            return Ok(Some(()));
        }
    }
    Ok(None)
}

/// One frame and its answer; something when the connection is over.
async fn step(
    registry: &Registry,
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    peer: &Peer,
    signed: &mut Option<Signed>,
    tries: &mut u32,
    quiet: Duration,
) -> io::Result<Option<()>> {
    let Some(bytes) = frame::read(stream, quiet).await? else { return Ok(Some(())) };
    match answer(registry, &bytes, signed, tries, peer).await {
        Next::Say(text) => frame::write(stream, &text).await.map(|()| None),
        Next::End(text) => frame::write(stream, &text).await.map(Some),
        Next::Silence => Ok(Some(())),
    }
}

async fn answer(registry: &Registry, bytes: &[u8], signed: &mut Option<Signed>, tries: &mut u32, peer: &Peer) -> Next {
    let say = |refusal: Refusal, id: Option<&str>| Next::Say(render(&Err(refusal), id, &transaction(&registry.env)));
    let root = match xml::parse(bytes) {
        Ok(root) => root,
        // A document that was never meant to be read is not worth a second one.
        Err(e @ (XmlError::Doctype | XmlError::Bounds)) => {
            let refusal = Refusal { code: Code::FailedClosing, reason: e.to_string() };
            return Next::End(render(&Err(refusal), None, &transaction(&registry.env)));
        }
        Err(e) => return say(Refusal { code: Code::Syntax, reason: e.to_string() }, None),
    };
    if root.is(EPP, "epp") && root.child("hello").is_some() {
        return Next::Say(greeting(registry));
    }
    let command = match Command::read(&root) {
        Ok(command) => command,
        Err((refusal, id)) => return say(refusal, id.as_deref()),
    };
    let outcome = match (command.verb.as_str(), signed.as_ref()) {
        ("login", None) => login(registry, &command, signed, tries, peer).await,
        ("login", Some(_)) => Err(Refusal { code: Code::Use, reason: "the session has signed in".to_owned() }),
        (_, None) => Err(Refusal { code: Code::Use, reason: "sign in first".to_owned() }),
        ("logout", Some(_)) => Ok(Answer::new(Code::Ended)),
        (_, Some(held)) => return object(registry, command, held, bytes).await,
    };
    let code = outcome.as_ref().map_or_else(|refusal| refusal.code, |answer| answer.code);
    let text = render(&outcome, command.transaction.as_deref(), &transaction(&registry.env));
    if code.closes() { Next::End(text) } else { Next::Say(text) }
}

/// A command on an object, in one write.
async fn object(registry: &Registry, command: Command, signed: &Signed, bytes: &[u8]) -> Next {
    let refuse = |code, reason: &str| {
        let refusal = Refusal { code, reason: reason.to_owned() };
        Next::Say(render(&Err(refusal), command.transaction.as_deref(), &transaction(&registry.env)))
    };
    let target = match command.verb.as_str() {
        "poll" => command.element.clone(),
        _ => match command.element.children.as_slice() {
            [only] => only.clone(),
            _ => return refuse(Code::Syntax, "a command names exactly one object"),
        },
    };
    if command.verb != "poll" {
        if target.name != command.verb {
            return refuse(Code::Syntax, "the object's element is not the command's");
        }
        if !signed.objects.contains(&target.ns) {
            return refuse(Code::ObjectService, "the session did not ask for this kind of object");
        }
    }
    if is_silent(registry, &target) {
        return Next::Silence;
    }
    let work = (registry.clone(), Arc::new(command), Arc::new(target), signed.client.clone(), signed.extensions.clone());
    let (digest, now) = (Sha256Digest::of(bytes), registry.env.now());
    let written = registry.db.write(move |tx: &mut Tx<'_>| -> Result<(String, Code), DbError> {
        let (registry, command, target, client, spoken) = &work;
        let op = command.element.attribute("op");
        let (rules, pepper, env) = (registry.rules.as_ref(), &registry.pepper, &registry.env);
        let call = Call { env, now, client, rules, pepper, object: target, op, extension: &command.extension, spoken };
        perform(tx, &call, command, &digest)
    });
    match written.await {
        Ok((text, _)) => Next::Say(text),
        Err(e) => {
            tracing::error!(error = %e, "a command failed on the registry's side");
            let refusal = Refusal { code: Code::Failed, reason: String::new() };
            Next::Say(render(&Err(refusal), None, &transaction(&registry.env)))
        }
    }
}

/// The sandbox has a name that never gets an answer.
fn is_silent(registry: &Registry, target: &Element) -> bool {
    let label = |name: &Element| registry.rules.label(&name.token()).map(|(_, label)| label);
    target.ns == DOMAIN && target.all("name").any(|name| label(name).is_ok_and(|label| registry.rules.is_silent(&label)))
}

async fn login(
    registry: &Registry,
    command: &Command,
    signed: &mut Option<Signed>,
    tries: &mut u32,
    peer: &Peer,
) -> Result<Answer, Refusal> {
    let refuse = |code, reason: &str| Refusal { code, reason: reason.to_owned() };
    let text = |name: &str| command.element.child(name).map(Element::token).filter(|text| !text.is_empty());
    let (Some(client), Some(password)) = (text("clID"), text("pw")) else {
        return Err(refuse(Code::Missing, "`clID` and `pw` are needed"));
    };
    let (password, new) = (Secret::new(password), text("newPW").map(Secret::new));
    if new.as_ref().is_some_and(|new| !(6..=16).contains(&new.expose().chars().count())) {
        return Err(refuse(Code::Value, "`newPW` has 6 to 16 characters"));
    }
    let options = command.element.child("options");
    let option = |name: &str| options.and_then(|it| it.child(name)).map(Element::token);
    if option("version").is_none_or(|it| it != "1.0") {
        return Err(refuse(Code::Version, "the version is 1.0"));
    }
    if option("lang").is_none_or(|it| it != "en") {
        return Err(refuse(Code::OptionUnknown, "the language is `en`"));
    }
    let services = command.element.child("svcs");
    let all = |parent: Option<&Element>, name: &str| parent.into_iter().flat_map(|it| it.all(name)).map(Element::token).collect::<Vec<_>>();
    let (objects, extensions) = (all(services, "objURI"), all(services.and_then(|it| it.child("svcExtension")), "extURI"));
    if objects.is_empty() {
        return Err(refuse(Code::Missing, "`objURI` is missing"));
    }
    if objects.iter().any(|it| !OBJECTS.contains(&it.as_str())) {
        return Err(refuse(Code::ObjectService, ""));
    }
    if extensions.iter().any(|it| !EXTENSIONS.contains(&it.as_str())) {
        return Err(refuse(Code::Extension, ""));
    }
    // Nobody learns whether it would have been right.
    if peer.from.is_some_and(|from| !registry.doors.knock(&client, from, registry.env.now())) {
        tracing::warn!(client, "a registrar has to wait before it tries another password");
        return Err(refuse(Code::AuthenticationClosing, "too many tries; wait before the next"));
    }
    let certificate = peer.certificate.as_deref();
    let known = attempt(registry, &client, &password, certificate, None).await.inspect_err(|_| {
        // Our own failure is no wrong password.
        if let Some(from) = peer.from {
            registry.doors.forgive(&client, from);
        }
    })?;
    if known == SignIn::Refused {
        *tries += 1;
        tracing::warn!(client, tries = *tries, "a registrar did not get in");
        let code = if *tries >= TRIES { Code::AuthenticationClosing } else { Code::Authentication };
        return Err(refuse(code, ""));
    }
    if let Some(from) = peer.from {
        registry.doors.welcome(&client, from);
    }
    let Some(place) = registry.place(&client) else { return Err(refuse(Code::SessionsClosing, "")) };
    if let Some(new) = new {
        attempt(registry, &client, &password, certificate, Some(new)).await?;
    }
    *signed = Some(Signed { client, objects, extensions, _place: place });
    Ok(Answer::new(Code::Done))
}

async fn attempt(
    registry: &Registry,
    client: &str,
    password: &Secret<String>,
    certificate: Option<&str>,
    new: Option<Secret<String>>,
) -> Result<SignIn, Refusal> {
    let (pepper, client, password, certificate) =
        (registry.pepper.clone(), client.to_owned(), password.clone(), certificate.map(str::to_owned));
    let tried = registry.db.write(move |tx: &mut Tx<'_>| {
        sign_in(tx, &pepper, &client, password.expose(), certificate.as_deref(), new.as_ref().map(|new| new.expose().as_str()))
    });
    tried.await.map_err(|e| {
        tracing::error!(error = %e, "a sign-in failed on the registry's side");
        Refusal { code: Code::Failed, reason: String::new() }
    })
}

fn greeting(registry: &Registry) -> String {
    let mut w = document();
    w.open("greeting", &[]).leaf("svID", &registry.rules.server).leaf("svDate", registry.env.now()).open("svcMenu", &[]);
    w.leaf("version", "1.0").leaf("lang", "en");
    for object in OBJECTS {
        w.leaf("objURI", object);
    }
    w.open("svcExtension", &[]);
    for extension in EXTENSIONS {
        w.leaf("extURI", extension);
    }
    w.close("svcExtension").close("svcMenu");
    // What is done with the data of persons (RFC 5730 section 2.4): kept while a name needs them, for the registry's own work.
    w.open("dcp", &[]).open("access", &[]).empty("personal", &[]).close("access").open("statement", &[]);
    w.open("purpose", &[]).empty("admin", &[]).empty("prov", &[]).close("purpose");
    w.open("recipient", &[]).empty("ours", &[]).close("recipient");
    w.open("retention", &[]).empty("business", &[]).close("retention");
    w.close("statement").close("dcp").close("greeting").close("epp");
    w.finish()
}
