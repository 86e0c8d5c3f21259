//! `deployment_create`: a stored version goes live.

use std::collections::BTreeMap;

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::name::{ScriptName, VersionId};
use crate::rollout::refused;
use crate::runtime::Live;
use crate::store::deployment::{self, NewDeployment};
use crate::view::{Author, Deployment, Minor, Share};
use crate::workers::Workers;

impl Workers {
    /// Makes one version answer all requests, or lets two share them. `versions` is what the client asked for, with percentages.
    ///
    /// # Errors
    /// [`WorkersError::BadRequest`] for more than two versions, or percentages that are not 100 together.
    pub async fn deployment_create(
        &self,
        account: &CloudAccountId,
        name: &ScriptName,
        versions: &[(VersionId, f64)],
        annotations: BTreeMap<String, String>,
        author: &Author,
    ) -> Result<Deployment, WorkersError> {
        let (id, minor) = shares(versions)?;
        let _lock = self.lock(account).await?;
        let row = self.account(account).await?;
        let home = self.home(&row, Some(&self.script(account, name).await?)).await?;
        let version = self.version_row(account, name, &id).await?;
        let current = self.deployment_list(account, name).await?.into_iter().next();
        if let Some(current) = current.filter(|c| c.version == id && c.minor == minor && c.annotations == annotations) {
            self.settle(&row).await?;
            return Ok(current);
        }
        let loaded = self.load(version).await?;
        let mut live = Vec::new();
        if let Some(minor) = &minor {
            let other = self.load(self.version_row(account, name, &minor.version).await?).await?;
            live.push(Live { share: minor.share, ..other.live });
        }
        let share = minor.as_ref().map_or(Share::ALL, |minor| minor.share.rest());
        // The one with the larger part comes last, and stands for the Worker wherever there can be only one.
        live.push(Live { share, ..loaded.live });
        // Usually a no-op: the process that validated the version is still waiting.
        self.0.runtime.validate_all(&home.tenant, home.number, &live).await.map_err(refused)?;
        let (env, who, stored) = (self.0.env.clone(), author.clone(), loaded.row);
        let deployment = self
            .change(move |tx| {
                let new = NewDeployment {
                    account: &stored.account,
                    script: &stored.script,
                    version: &stored.id,
                    minor: minor.as_ref(),
                    author: &who,
                    annotations: &annotations,
                };
                deployment::insert(tx, &env, &new)
            })
            .await?;
        self.go_live(&home, live).await?;
        Ok(deployment)
    }
}

/// The version that answers most, and the other one.
fn shares(versions: &[(VersionId, f64)]) -> Result<(VersionId, Option<Minor>), WorkersError> {
    let wrong = |text: &str| Err(WorkersError::BadRequest(text.to_owned()));
    let parts: Option<Vec<(&VersionId, Share)>> = versions.iter().map(|(id, percent)| Some((id, Share::of_percent(*percent)?))).collect();
    let Some(parts) = parts else { return wrong("a percentage is a number from 0 to 100") };
    match parts[..] {
        [(id, Share::ALL)] => Ok((id.clone(), None)),
        [_] => wrong("the one version of a deployment gets 100 percent"),
        [(a, _), (b, _)] if a == b => wrong("the two versions of a deployment are the same"),
        [(a, part), (b, other)] if part.rest() == other => {
            let (major, minor, share) = if part >= other { (a, b, other) } else { (b, a, part) };
            Ok((major.clone(), Some(Minor { version: minor.clone(), share })))
        }
        [_, _] => wrong("the percentages of a deployment are 100 together"),
        _ => wrong("a deployment has one version, or two that share the requests"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use purser_values::{Env, Timestamp};

    #[test]
    fn two_versions_share_all_requests_and_three_share_none() {
        let (env, _) = Env::test(Timestamp::EPOCH, 1);
        let (a, b) = (VersionId::mint(&env), VersionId::mint(&env));
        let (major, minor) = shares(&[(a.clone(), 12.5), (b.clone(), 87.5)]).unwrap();
        assert_eq!((major, minor.unwrap().share.percent()), (b.clone(), 12.5));
        assert_eq!(shares(&[(a.clone(), 100.0)]).unwrap(), (a.clone(), None));
        let bad: [&[(VersionId, f64)]; 6] = [
            &[],
            &[(a.clone(), 50.0)],
            &[(a.clone(), 50.0), (b.clone(), 49.0)],
            &[(a.clone(), f64::NAN), (b.clone(), 50.0)],
            &[(a.clone(), -10.0), (b.clone(), 110.0)],
            &[(a.clone(), 50.0), (a.clone(), 50.0)],
        ];
        for versions in bad {
            assert!(shares(versions).is_err(), "{versions:?}");
        }
    }
}
