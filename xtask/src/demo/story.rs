//! The story itself, step by step, each with its duration: once for the demo, many times for the bench.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::agent::{Agent, Login};
use super::mailbox::Mailbox;
use super::person::Person;
use super::site;
use super::system::Run;
use crate::fail::{Context, Outcome};
use crate::progress;

const PERSON: &str = "ada@example.test";
const ATTENDED_POLL: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Serialize)]
pub struct Step {
    pub name: &'static str,
    pub ms: u64,
}

/// What a told story leaves behind.
#[derive(Debug)]
pub struct Told {
    pub agent: Agent,
    pub domain: String,
    pub accept_to_live: Duration,
    pub steps: Vec<Step>,
}

/// Who presses Accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// A person at a browser; we only show the URL and the mailed code.
    APerson,
    /// We play the person, through the same pages.
    Us,
}

#[derive(Debug)]
pub struct Story<'a> {
    pub purser: &'a Path,
    pub run: &'a Run,
    /// The agent's home.
    pub home: &'a Path,
    pub who: Who,
    /// Says nothing while it runs, for the bench.
    pub quiet: bool,
}

impl Story<'_> {
    pub fn tell(&self) -> Outcome<Told> {
        let mut steps = Steps { quiet: self.quiet, done: Vec::new() };
        let name = name()?;
        let domain = format!("{name}.test");
        let agent = Agent::create(self.purser, self.home, &self.run.orchestrator.url)?;
        site::write(agent.site(), &domain, &name)?;
        let mailbox = Mailbox::open(&self.run.mail);

        let agent_name = format!("{name} agent");
        let login = steps.step("the agent, without an account anywhere, gets one URL for its person", || {
            agent.login(&["--name", &agent_name, "--project", &name, "--irreversible", "--export"])
        })?;
        let accepted = match self.who {
            Who::Us => self.play_the_person(&mut steps, mailbox, login)?,
            Who::APerson => self.wait_for_the_person(&mut steps, mailbox, login)?,
        };
        steps.step("the project is opened", || agent.run(&["init", &name]).map(drop))?;
        steps.step("an account is opened and the paid plan is bought", || agent.run(&["add", "slipway/workers:paid"]).map(drop))?;
        let wanted = format!(r#"{{"domain":"{domain}"}}"#);
        steps.step("the domain is bought and delegated", || {
            agent.run(&["add", "slipway/registrar:domain", "--config", &wanted]).map(drop)
        })?;
        steps.step("an API token is received and sealed", || agent.run(&["add", "slipway/workers"]).map(drop))?;
        steps.step("the code is deployed", || agent.run(&["deploy", ".", "--domain", &domain]).map(drop))?;
        steps.step("the site answers over HTTPS on its own domain", || site::await_live(self.run, &domain, &name))?;
        Ok(Told { agent, domain, accept_to_live: accepted.elapsed(), steps: steps.done })
    }

    fn play_the_person(&self, steps: &mut Steps, mailbox: Mailbox, login: Login) -> Outcome<Instant> {
        let mut person = Person::new(&self.run.orchestrator.url, mailbox, PERSON);
        let invitation = login.invitation.clone();
        let page = steps.step("the person (played by this command, on the same pages) signs in with the mailed code", || {
            person.sign_in(&invitation.verification_uri_complete, &invitation.user_code)
        })?;
        let accepted = steps.step("the person reads one page and accepts", || person.accept(&page, &invitation.user_code))?;
        steps.step("the agent receives its grant", || login.finish().map(drop))?;
        Ok(accepted)
    }

    /// The clock starts when the agent has its grant: the click itself happens elsewhere.
    fn wait_for_the_person(&self, steps: &mut Steps, mut mailbox: Mailbox, mut login: Login) -> Outcome<Instant> {
        eprintln!("\n  Open this page, sign in with any address, read, and accept:\n");
        eprintln!("      {}", login.invitation.verification_uri_complete);
        eprintln!("      the page shows the code {}\n", login.invitation.user_code);
        steps.step("the person signs in, reads one page and accepts", || {
            while !login.has_ended() {
                if let Some(code) = mailbox.new_code("") {
                    progress::note(&format!("a mail arrived in the development mailbox: the sign-in code is {code}"));
                }
                std::thread::sleep(ATTENDED_POLL);
            }
            login.finish()
        })?;
        Ok(Instant::now())
    }
}

struct Steps {
    quiet: bool,
    done: Vec<Step>,
}

impl Steps {
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
        let started = Instant::now();
        let outcome = if self.quiet { work() } else { progress::step(name, work) };
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.done.push(Step { name, ms });
        outcome
    }
}

/// A name that no run had before.
fn name() -> Outcome<String> {
    let mut bytes = [0_u8; 4];
    let mut source = std::fs::File::open("/dev/urandom").context(|| "opening the random device".to_owned())?;
    source.read_exact(&mut bytes).context(|| "reading the random device".to_owned())?;
    let suffix: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("harbour-{suffix}"))
}
