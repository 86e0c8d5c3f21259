//! The variables of an environment: names for everybody who may look, values for those whose grant allows export.

use std::collections::BTreeMap;

use purser_authority::action::{CredentialExport, ResourceRead};
use purser_authority::{Attempt, Caller, Done, Event, Facts, authorise};
use purser_db::Tx;
use purser_identity::standing;
use purser_values::Secret;
use purser_values::name::{EnvironmentName, ProjectName};
use purser_vault::Credential;

use crate::app::App;
use crate::error::OpError;
use crate::perform;
use crate::store::project::{self, Project};

/// The names, without values.
///
/// # Errors
/// When the caller may not look, or there is no such project.
pub async fn variables_list(
    app: &App,
    caller: &Caller,
    project: ProjectName,
    environment: EnvironmentName,
) -> Result<Vec<Credential>, OpError> {
    let (env, caller) = (app.core.env.clone(), caller.clone());
    app.core
        .db
        .read(move |tx| {
            let found = own_project(tx, &caller, &project)?;
            let standing = standing(tx, env.now(), &caller)?;
            let facts = Facts {
                project: Some(&found.name),
                environment: Some(&environment),
                owner: Some(&found.organisation),
                ..standing.facts(env.now(), found.id.as_str())
            };
            let _permit = authorise::<ResourceRead>(&caller, &facts)?;
            Ok(purser_vault::names(tx, &found.id, &environment)?)
        })
        .await
}

/// The values in plain text. Each export is in the log, with the names and without the values.
///
/// # Errors
/// When the grant does not allow export, the agent is frozen, or there is no such project.
pub async fn credential_export(
    app: &App,
    caller: &Caller,
    project: ProjectName,
    environment: EnvironmentName,
) -> Result<BTreeMap<String, Secret<String>>, OpError> {
    let (app_in, caller_in) = (app.clone(), caller.clone());
    perform(&app.core, Attempt::new("credential_export", caller, project.as_str()), move |tx| {
        let (now, caller) = (app_in.core.env.now(), &caller_in);
        let found = own_project(tx, caller, &project)?;
        let standing = standing(tx, now, caller)?;
        if standing.grant.as_ref().is_some_and(|grant| !grant.export) {
            return Err(OpError::ExportNotGranted);
        }
        let facts = Facts {
            project: Some(&found.name),
            environment: Some(&environment),
            owner: Some(&found.organisation),
            ..standing.facts(now, found.id.as_str())
        };
        let permit = authorise::<CredentialExport>(caller, &facts)?;
        let opened = purser_vault::open(tx, &app_in.core.keyring, &found.id, &environment)?;
        let names: Vec<&str> = opened.iter().map(|o| o.credential.variable.as_str()).collect();
        let event = Event::done(permit.verb(), permit.caller(), found.id.as_str())
            .related(opened.iter().map(|o| &o.credential.resource))
            .with(serde_json::json!({ "environment": environment, "variables": names }));
        let values = opened.into_iter().map(|o| (o.credential.variable, o.value)).collect();
        Ok(Done::with_event(values, event))
    })
    .await
}

pub(crate) fn own_project(tx: &mut Tx<'_>, caller: &Caller, name: &ProjectName) -> Result<Project, OpError> {
    let organisation = caller.organisation().ok_or(purser_authority::Denied::Anonymous)?;
    project::by_name(tx, organisation, name)?.ok_or_else(|| OpError::ProjectUnknown(name.clone()))
}
