//! Limits, cards and terms. An agent sees them; only a person changes them: signed in at this terminal, or on the page.
//!
//! INVARIANT (agent-cannot-widen): an agent's try is sent to the orchestrator, which refuses and records it; what comes back is the page
//! with everything filled in, for the person.

use purser_values::error::Kind;
use purser_values::{Currency, Money};
use serde_json::{Value, json};

use super::{list, money, text};
use crate::arguments::{BillingUpdate, Over};
use crate::bars::Style;
use crate::context::{Context, PERSON_TOKEN, address};
use crate::operation::Who;
use crate::outcome::{Failure, Success};
use crate::screen;

pub(super) async fn show(context: &Context) -> Result<Success, Failure> {
    let data = context.api(Who::Either)?.get(&["v1", "billing"], &[]).await?;
    let style = Style::here();
    let mut parts = vec![caps(&data, style)];
    parts.extend(section(&format!("ceilings (days begin in {})", text(&data, "zone")), ceilings(&data, style)));
    parts.extend(section("budgets", super::budget::rows(&data, style)));
    parts.extend(super::credits::balances(list(&data, "credits"), style));
    if let Some(card) = data["payment_method"].as_object() {
        let part = |name: &str| card.get(name).and_then(Value::as_str).unwrap_or_default();
        parts.push(format!("card  {} …{} ({})", part("brand"), part("last4"), part("state")));
    }
    Ok(Success::new(data, parts.join("\n\n")))
}

fn section(head: &str, rows: Vec<Vec<String>>) -> Option<String> {
    (rows.len() > 1).then(|| format!("{head}\n{}", screen::table(&rows)))
}

fn minor(value: &Value) -> i64 {
    value["amount_minor"].as_i64().unwrap_or(0)
}

/// Spent and set aside, of the whole.
fn used(row: &Value) -> i64 {
    minor(&row["captured"]).saturating_add(minor(&row["held"]))
}

fn caps(data: &Value, style: Style) -> String {
    let mut rows = vec![["agent", "provider", "cap", "captured", "held", "left", ""].map(str::to_owned).to_vec()];
    for cap in list(data, "caps") {
        let name = if cap["agent_name"].is_null() { "this agent".to_owned() } else { text(cap, "agent_name") };
        let bar = style.bar(used(cap), minor(&cap["cap"]));
        let [all, captured, held, left] = ["cap", "captured", "held", "left"].map(|part| money(&cap[part]));
        rows.push(vec![name, text(cap, "provider"), all, captured, held, left, bar]);
    }
    if rows.len() == 1 {
        return "No agent may spend anything: nobody has set a cap.".to_owned();
    }
    format!("caps in {}\n{}", text(data, "month"), screen::table(&rows))
}

fn ceilings(data: &Value, style: Style) -> Vec<Vec<String>> {
    let mut rows = vec![["over", "for", "ceiling", "captured", "held", "left", ""].map(str::to_owned).to_vec()];
    for ceiling in list(data, "ceilings") {
        let whole = json!({ "amount_minor": ceiling["amount"]["amount_minor"] });
        let [amount, captured, held, left] = ["amount", "captured", "held", "left"].map(|part| money(&ceiling[part]));
        rows.push(vec![over(ceiling), text(ceiling, "period"), amount, captured, held, left, style.bar(used(ceiling), minor(&whole))]);
    }
    rows
}

/// `project shop`.
pub(super) fn over(row: &Value) -> String {
    match text(row, "scope").as_str() {
        "organisation" => "organisation".to_owned(),
        scope => format!("{scope} {}", text(row, "subject")),
    }
}

pub(super) async fn add(context: &Context) -> Result<Success, Failure> {
    let attempt = Attempt {
        route: &["payment_methods"],
        page: "/card".to_owned(),
        code: "BROWSER_AUTH_REQUIRED",
        what: "adds a card",
        body: json!({}),
    };
    refused(context, attempt).await
}

/// What a limit is over, in the API's words.
pub(super) struct Target {
    pub scope: &'static str,
    pub subject: String,
}

/// What was typed, with a person's agent by its id: an agent that asks knows no other's name.
pub(super) async fn with_agent(context: &Context, over: &Over) -> Result<Over, Failure> {
    let mut over = over.clone();
    if let Some(typed) = over.agent.as_deref().filter(|_| !is_agents()) {
        over.agent = Some(super::agent::named(&context.api(Who::Person)?, typed).await?.to_string());
    }
    Ok(over)
}

/// The one thing that was named; nothing is the organisation.
///
/// # Errors
/// `INVALID_ARGUMENT` when several things are named.
pub(super) fn target(context: &Context, over: &Over) -> Result<Target, Failure> {
    let named = [
        ("provider", over.provider.clone()),
        ("agent", over.agent.clone()),
        ("grant", over.grant.clone()),
        ("category", over.category.clone()),
        ("project", over.project.clone().filter(|_| context.typed_environment().is_none())),
        ("environment", environment(context, over)?),
    ];
    let mut found = named.into_iter().filter_map(|(scope, subject)| subject.map(|subject| Target { scope, subject }));
    match (found.next(), found.next()) {
        (None, _) => Ok(Target { scope: "organisation", subject: String::new() }),
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Failure::invalid("a limit is over one thing")
            .hint("name a provider, a project (with an environment), an agent, a grant or a category")),
    }
}

fn environment(context: &Context, over: &Over) -> Result<Option<String>, Failure> {
    let Some(environment) = context.typed_environment() else { return Ok(None) };
    let project = match &over.project {
        Some(project) => project.clone(),
        None => context.project()?.state.project.name.to_string(),
    };
    Ok(Some(format!("{project}/{environment}")))
}

pub(super) async fn update(context: &Context, arguments: &BillingUpdate) -> Result<Success, Failure> {
    let currency: Currency = arguments.currency.parse().map_err(|e| Failure::invalid(format!("{e}")))?;
    let limit = arguments.limit.as_deref().map(|text| Money::parse_decimal(text, currency)).transpose();
    let limit = limit.map_err(|e| Failure::invalid(e.to_string()).hint("write it as `25` or `25.00`"))?;
    if limit.is_none() && !arguments.none && arguments.zone.is_none() {
        return Err(Failure::invalid("there is no limit to set").hint("give `--limit 25`, or `--none` to take a ceiling away"));
    }
    let is_person = !is_agents();
    if let Some(zone) = &arguments.zone {
        return set_zone(context, zone, is_person).await;
    }
    let over = with_agent(context, &arguments.over).await?;
    let wanted = Wanted::read(context, arguments, &over, limit, currency, is_person)?;
    if !is_person {
        let attempt =
            Attempt { route: wanted.route, page: wanted.page(), code: "BROWSER_AUTH_REQUIRED", what: "changes a limit", body: wanted.body };
        return refused_by(context, attempt, wanted.put).await;
    }
    let api = context.api(Who::Person)?;
    let route = [&["v1"][..], wanted.route].concat();
    let data = if wanted.put { api.put(&route, &wanted.body).await? } else { api.post(&route, &[], &wanted.body).await? };
    let said = match limit {
        Some(limit) => format!("{} is {limit} now.", wanted.what),
        None => format!("{} is taken away.", wanted.what),
    };
    Ok(Success::new(data, said).next("purser billing show"))
}

/// Where the organisation's days, weeks and months begin.
async fn set_zone(context: &Context, zone: &str, is_person: bool) -> Result<Success, Failure> {
    let (route, body) = (["ceilings", "zone"], json!({ "zone": zone }));
    if !is_person {
        let page = "/limits#ceilings".to_owned();
        let attempt = Attempt { route: &route, page, code: "BROWSER_AUTH_REQUIRED", what: "changes the time zone", body };
        return refused_by(context, attempt, true).await;
    }
    let data = context.api(Who::Person)?.put(&["v1", "ceilings", "zone"], &body).await?;
    Ok(Success::new(data, format!("Days, weeks and months are those of `{zone}` now.")).next("purser billing show"))
}

/// Which limit, as the orchestrator wants it.
struct Wanted {
    route: &'static [&'static str],
    put: bool,
    what: String,
    query: Vec<(&'static str, String)>,
    anchor: String,
    body: Value,
}

impl Wanted {
    /// An agent that names no more than a provider means its own cap there, which is what stops it; a person means a ceiling.
    fn read(
        context: &Context,
        arguments: &BillingUpdate,
        over: &Over,
        limit: Option<Money>,
        currency: Currency,
        is_person: bool,
    ) -> Result<Self, Failure> {
        let amount = limit.map(|limit| limit.decimal()).unwrap_or_default();
        let plain = over.project.is_none() && over.grant.is_none() && over.category.is_none() && context.typed_environment().is_none();
        let named_cap = over.agent.is_some() && (over.provider.is_some() || arguments.each_provider);
        let own_cap = !is_person && over.agent.is_none();
        if plain && arguments.period.is_none() && !arguments.none && (named_cap || own_cap) {
            let (agent, provider) = (over.agent.clone(), over.provider.clone());
            let own = context.home().ok().and_then(|home| home.session().ok().flatten()).map(|session| session.agent_id);
            let shown = agent.clone().or(own).unwrap_or_default();
            return Ok(Self {
                route: &["caps"],
                put: false,
                what: format!("the cap of `{shown}` at {}", provider.as_deref().unwrap_or("every provider without one of its own")),
                query: vec![("agent", shown.clone()), ("provider", provider.clone().unwrap_or_default()), ("amount", amount)],
                anchor: shown,
                body: json!({ "agent": agent, "provider": provider, "amount_minor": limit.map(Money::minor), "currency": currency }),
            });
        }
        let (target, period) = (target(context, over)?, arguments.period.clone().unwrap_or_else(|| "month".to_owned()));
        let Target { scope, subject } = target;
        Ok(Self {
            route: &["ceilings"],
            put: true,
            what: format!(
                "the ceiling over the {} ({period})",
                if subject.is_empty() { scope.to_owned() } else { format!("{scope} `{subject}`") }
            ),
            query: vec![
                ("scope", scope.to_owned()),
                ("subject", subject.clone()),
                ("period", period.clone()),
                ("currency", currency.to_string()),
                ("amount", amount),
            ],
            anchor: "ceilings".to_owned(),
            body: json!({ "scope": scope, "subject": subject, "period": period, "amount_minor": limit.map(Money::minor), "currency": currency }),
        })
    }

    fn page(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.query.iter().filter(|(_, value)| !value.is_empty()));
        let anchor = if self.anchor.is_empty() { String::new() } else { format!("#{}", self.anchor) };
        format!("/limits?{}{anchor}", query.finish())
    }
}

/// An agent, or a shell that nobody signed in to: recorded, refused, and told the page.
pub(super) async fn refused_rate(context: &Context, body: Value) -> Result<Success, Failure> {
    let page = "/limits#rates".to_owned();
    refused_by(context, Attempt { route: &["rates"], page, code: "BROWSER_AUTH_REQUIRED", what: "states a rate", body }, true).await
}

pub(super) async fn accept_terms(context: &Context) -> Result<Success, Failure> {
    let what = "accepts terms";
    let attempt = Attempt { route: &["terms_acceptances"], page: "/".to_owned(), code: "TOS_ACCEPTANCE_REQUIRED", what, body: json!({}) };
    refused(context, attempt).await
}

/// What an agent tries that only its person does.
pub(super) struct Attempt<'a> {
    /// Below `/v1`.
    pub route: &'a [&'a str],
    /// Where the person does it, with everything filled in.
    pub page: String,
    pub code: &'static str,
    pub what: &'static str,
    pub body: Value,
}

async fn refused(context: &Context, attempt: Attempt<'_>) -> Result<Success, Failure> {
    refused_by(context, attempt, false).await
}

/// Whether no person signed in at this terminal, so that what follows is an agent's try.
pub(super) fn is_agents() -> bool {
    std::env::var_os(PERSON_TOKEN).is_none()
}

/// Lets the orchestrator refuse and record the try, and names the page for the person.
pub(super) async fn refused_by(context: &Context, attempt: Attempt<'_>, put: bool) -> Result<Success, Failure> {
    let page = context.orchestrator().map(|url| format!("{}{}", address(&url), attempt.page));
    // only to be recorded: whatever the answer, nothing was changed and the refusal stands
    if let Ok(api) = context.api(Who::Agent) {
        let route = [&["v1"][..], attempt.route].concat();
        let patience = std::time::Duration::from_secs(3);
        let _ = match put {
            true => tokio::time::timeout(patience, api.put(&route, &attempt.body)).await,
            false => tokio::time::timeout(patience, api.post(&route, &[], &attempt.body)).await,
        };
    }
    let failure = Failure::new(Kind::NeedsPerson, attempt.code, format!("only the person {}; an agent never does", attempt.what));
    Err(match page {
        Ok(url) => failure.hint(format!("ask the person to open {url}")).details(json!({ "url": url })),
        Err(_) => failure.hint("ask the person to do it on the orchestrator's pages"),
    })
}
