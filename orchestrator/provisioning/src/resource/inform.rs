//! `resource_inform`: a provider wants to know something before it makes a resource, and the person answers it on a page.
//!
//! INVARIANT (own-answer): only the person whose agent buys answers, signed in, in the organisation that buys. An agent sees what is asked
//! and never what was answered: the answer is sealed until the provider has it, and forgotten with the purchase.

use purser_authority::action::{ResourceInform, ResourceRead};
use purser_authority::{Action, Caller, Denied, Done, Event, Facts, Permit, authorise};
use purser_crypto::seal::Keyring;
use purser_db::{DbError, Tx};
use purser_flow::StepError;
use purser_identity::{agent, person};
use purser_values::error::{Kind, PublicError};
use purser_values::id::ResourceId;
use purser_values::{Env, Timestamp};
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::fault::{failure, permanent};
use crate::store::information::{self, Asked};
use crate::store::resource::{self, Resource};

/// Life of a question, in seconds. The quote of a purchase may end it sooner.
const QUESTION_LIFE_S: i64 = 600;
/// Questions about one resource before a provider is taken for one that is never content.
const ROUNDS: u32 = 3;
/// Time between two looks whether somebody has answered, in milliseconds.
const LOOK_MS: u64 = 700;
/// Largest schema that is kept; most members and bytes of an answer.
const SCHEMA_BYTES: usize = 16 * 1024;
const MEMBERS: usize = 32;
const BYTES: usize = 4 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum InformError {
    #[error("nothing is asked for here")]
    Unknown,
    #[error("somebody else was asked")]
    AnotherPerson,
    #[error("the time to answer is over")]
    Late,
    #[error("this was answered already")]
    Answered,
    #[error("an answer has 1 to {MEMBERS} members and at most {BYTES} bytes")]
    Answer,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Store(#[from] DbError),
}

impl PublicError for InformError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unknown => "information_unknown",
            Self::AnotherPerson => "information_of_another_person",
            Self::Late => "information_expired",
            Self::Answered => "information_answered",
            Self::Answer => "invalid_request",
            Self::Denied(e) => e.code(),
            Self::Store(e) => e.code(),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::AnotherPerson => Kind::Forbidden,
            Self::Late => Kind::NeedsPerson,
            Self::Answered => Kind::Conflict,
            Self::Answer => Kind::Invalid,
            Self::Denied(e) => e.kind(),
            Self::Store(e) => e.kind(),
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown | Self::Late => "let the agent ask again and use the page that it names then".to_owned(),
            Self::AnotherPerson => "sign in as the person whom the agent named".to_owned(),
            Self::Answered => "the agent goes on by itself".to_owned(),
            Self::Answer => "fill in what the page asks for".to_owned(),
            Self::Denied(e) => return e.hint(),
            Self::Store(_) => return None,
        })
    }
}

/// A question, for the page of the person who was asked.
#[derive(Clone, Debug)]
pub struct InformView {
    pub resource: ResourceId,
    /// The service, and what the agent wants it for.
    pub service: String,
    pub provider: String,
    pub configuration: Value,
    pub agent: Option<String>,
    /// Absent where nothing is asked for any more.
    pub asked: Option<Question>,
}

#[derive(Clone, Debug)]
pub struct Question {
    pub schema: Value,
    pub expires_at: Timestamp,
    pub is_answered: bool,
    pub is_late: bool,
}

/// # Errors
/// When nothing was ever asked of this person.
pub fn inform_view(tx: &mut Tx<'_>, env: &Env, caller: &Caller, resource: &ResourceId) -> Result<InformView, InformError> {
    let row = resource::get(tx, resource)?.ok_or(InformError::Unknown)?;
    let _permit = own::<ResourceRead>(caller, &row, env.now())?;
    let asked = information::find(tx, resource)?;
    Ok(InformView {
        resource: row.id.clone(),
        service: row.service_ref().to_string(),
        provider: row.provider.to_string(),
        agent: agent::find(tx, &row.agent)?.map(|agent| agent.name.to_string()),
        asked: asked.map(|asked| Question {
            is_answered: asked.is_answered(),
            is_late: asked.is_late(env.now()),
            expires_at: asked.expires_at,
            schema: asked.schema,
        }),
        configuration: row.configuration,
    })
}

/// Takes the person's answer.
///
/// # Errors
/// When somebody else was asked, nothing is, time is up, it was answered, or the answer is no small object.
pub fn resource_inform(
    tx: &mut Tx<'_>,
    env: &Env,
    keyring: &Keyring,
    caller: &Caller,
    resource: &ResourceId,
    answer: &Map<String, Value>,
) -> Result<Done<()>, InformError> {
    let row = resource::get(tx, resource)?.ok_or(InformError::Unknown)?;
    let permit = own::<ResourceInform>(caller, &row, env.now())?;
    let asked = information::find(tx, resource)?.ok_or(InformError::Unknown)?;
    let size = serde_json::to_string(answer).map_or(usize::MAX, |text| text.len());
    if answer.is_empty() || answer.len() > MEMBERS || size > BYTES {
        return Err(InformError::Answer);
    }
    if asked.is_late(env.now()) {
        return Err(InformError::Late);
    }
    if !information::answered(tx, env, keyring, &asked, answer)? {
        return Err(InformError::Answered);
    }
    // Which facts, and not what they are: the log never forgets.
    let names: Vec<&String> = answer.keys().collect();
    let event = Event::done(permit.verb(), permit.caller(), row.id.as_str());
    let event = event.related([row.provider.as_str(), row.agent.as_str()]).with(json!({ "members": names }));
    Ok(Done::with_event((), event))
}

fn own<A: Action>(caller: &Caller, row: &Resource, now: Timestamp) -> Result<Permit<A>, InformError> {
    match caller {
        Caller::Person { organisation, .. } if *organisation != row.organisation => return Err(InformError::Unknown),
        Caller::Person { person, .. } if *person == row.person => {}
        Caller::Person { .. } => return Err(InformError::AnotherPerson),
        _ => return Err(Denied::AgentNever { action: A::RULE.name }.into()),
    }
    let facts = Facts { owner: Some(&row.organisation), provider: Some(&row.provider), ..Facts::new(now, row.id.as_str()) };
    Ok(authorise::<A>(caller, &facts)?)
}

/// What the person answered, as the provider is told it.
pub(super) struct Answered {
    round: u32,
    pub information: Map<String, Value>,
}

impl Answered {
    /// The key of the order with this answer: it is another body than the one without, and so another request.
    pub fn key(&self, key: &str) -> String {
        format!("{key}/information-{}", self.round)
    }
}

/// What was answered before the provider is asked: nothing where it asked for nothing.
///
/// # Errors
/// The wait for the person, or that they did not answer in time.
pub(super) async fn answered(app: &App, row: &Resource) -> Result<Option<Answered>, StepError> {
    let Some(asked) = find(app, row).await? else { return Ok(None) };
    if let Some(answered) = read(app, &asked)? {
        return Ok(Some(answered));
    }
    if asked.is_late(app.core.env.now()) {
        let hint = Some("repeat the command; the person gets a new page, and nothing was bought");
        return Err(permanent("information_expired", Kind::NeedsPerson, "nobody answered what the provider wants to know in time", hint));
    }
    Err(waiting(app, row, &asked).await?)
}

/// What was answered, for the undo; whether the provider was left without an answer.
pub(super) async fn left(app: &App, row: &Resource) -> Result<(Option<Answered>, bool), StepError> {
    let Some(asked) = find(app, row).await? else { return Ok((None, false)) };
    Ok((read(app, &asked)?, !asked.is_answered()))
}

/// The provider wants to know something: the person is asked, and the saga waits for them.
pub(super) async fn asks(app: &App, row: &Resource, schema: Value, quoted_until: Option<Timestamp>) -> StepError {
    match ask(app, row, schema, quoted_until).await {
        Ok(waiting) | Err(waiting) => waiting,
    }
}

async fn ask(app: &App, row: &Resource, schema: Value, quoted_until: Option<Timestamp>) -> Result<StepError, StepError> {
    let round = find(app, row).await?.map_or(0, |asked| asked.round) + 1;
    if schema.to_string().len() > SCHEMA_BYTES || round > ROUNDS {
        let mut failure =
            failure("needs_information", Kind::NeedsPerson, "the provider needs more information than anybody could answer", None);
        failure.details = Some(json!({ "rounds": round }));
        return Err(StepError::Permanent(failure));
    }
    let until = app.core.env.now().plus_secs(QUESTION_LIFE_S);
    let until = quoted_until.map_or(until, |quoted| until.min(quoted));
    let (resource, kept) = (row.id.clone(), schema.clone());
    let written = app.core.db.write(move |tx| -> Result<Option<Asked>, DbError> {
        information::ask(tx, &resource, round, &kept, until)?;
        information::find(tx, &resource)
    });
    let asked = written.await.map_err(StepError::transient)?.ok_or_else(|| StepError::transient("the question was not kept"))?;
    waiting(app, row, &asked).await
}

async fn find(app: &App, row: &Resource) -> Result<Option<Asked>, StepError> {
    let id = row.id.clone();
    app.core.db.read(move |tx| information::find(tx, &id)).await.map_err(StepError::transient)
}

fn read(app: &App, asked: &Asked) -> Result<Option<Answered>, StepError> {
    let answer = asked.answer(&app.core.keyring).map_err(StepError::transient)?;
    Ok(answer.map(|information| Answered { round: asked.round, information }))
}

/// Tells who looks at the saga whom it waits for, where, and until when.
async fn waiting(app: &App, row: &Resource, asked: &Asked) -> Result<StepError, StepError> {
    let (organisation, of) = (row.organisation.clone(), row.person.clone());
    let member = app.core.db.read::<_, DbError, _>(move |tx| person::member(tx, &organisation, &of)).await.map_err(StepError::transient)?;
    let on = json!({
        "for": "resource_information", "resource": row.id, "provider": row.provider, "service": row.service_ref(),
        "url": app.realm.url(&page(&row.id)), "person": {"id": row.person, "email": member.map(|m| m.person.email)},
        "expires_at": asked.expires_at, "schema": asked.schema,
    });
    Ok(StepError::Waiting { on, after_ms: LOOK_MS })
}

/// The page on which the person answers.
pub(crate) fn page(resource: &ResourceId) -> String {
    format!("/inform/{resource}")
}
