//! Use cases on routes by pattern. Which zones an account has is the caller's knowledge.

use purser_values::id::CloudAccountId;

use crate::error::WorkersError;
use crate::limits;
use crate::name::{ScriptName, Uuid};
use crate::store::route;
use crate::view::ZoneRoute;
use crate::workers::Workers;

impl Workers {
    /// All routes of an account.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn route_list(&self, account: &CloudAccountId) -> Result<Vec<ZoneRoute>, WorkersError> {
        let account = account.clone();
        Ok(self.0.db.read(move |tx| route::list(tx, &account)).await?)
    }

    /// Makes a route.
    ///
    /// # Errors
    /// [`WorkersError::RouteExists`] when the zone has that pattern, and as [`Workers::route_update`].
    pub async fn route_create(&self, account: &CloudAccountId, mut new: ZoneRoute) -> Result<ZoneRoute, WorkersError> {
        self.routable(account, &new).await?;
        let (env, id) = (self.0.env.clone(), account.clone());
        new.id = Uuid::mint(&env);
        let made = new.clone();
        self.change(move |tx| -> Result<(), WorkersError> {
            let all = route::list(tx, &id)?;
            if all.len() >= limits::ROUTES {
                return Err(WorkersError::BadRequest(format!("an account may have {} routes", limits::ROUTES)));
            }
            refuse_twice(&all, &new)?;
            Ok(route::insert(tx, &env, &id, &new)?)
        })
        .await?;
        self.publish_hosts(account).await?;
        Ok(made)
    }

    /// Gives a route another pattern or Worker.
    ///
    /// # Errors
    /// [`WorkersError::RouteNotFound`]; [`WorkersError::ScriptNotFound`]; [`WorkersError::BadRequest`] when the pattern lies outside of its zone.
    pub async fn route_update(&self, account: &CloudAccountId, changed: ZoneRoute) -> Result<(), WorkersError> {
        self.routable(account, &changed).await?;
        let id = account.clone();
        self.change(move |tx| -> Result<(), WorkersError> {
            let all = route::list(tx, &id)?;
            all.iter().find(|r| r.id == changed.id && r.zone_id == changed.zone_id).ok_or(WorkersError::RouteNotFound)?;
            refuse_twice(&all, &changed)?;
            Ok(route::update(tx, &id, &changed)?)
        })
        .await?;
        self.publish_hosts(account).await
    }

    /// # Errors
    /// [`WorkersError::RouteNotFound`].
    pub async fn route_delete(&self, account: &CloudAccountId, id: &Uuid) -> Result<(), WorkersError> {
        let (owner, id) = (account.clone(), id.clone());
        if !self.change(move |tx| route::delete(tx, &owner, &id)).await? {
            return Err(WorkersError::RouteNotFound);
        }
        self.publish_hosts(account).await
    }

    /// Makes these the Worker's routes, and no others: those that are there stay under their id, a pattern that leads to another
    /// Worker of the account is taken over. All or none.
    ///
    /// # Errors
    /// As [`Workers::route_create`].
    pub async fn route_replace(
        &self,
        account: &CloudAccountId,
        script: &ScriptName,
        wanted: Vec<ZoneRoute>,
    ) -> Result<Vec<ZoneRoute>, WorkersError> {
        self.script(account, script).await?;
        for one in &wanted {
            self.routable(account, one).await?;
        }
        let (env, id, name) = (self.0.env.clone(), account.clone(), script.clone());
        let kept = self.change(move |tx| -> Result<_, WorkersError> {
            let all = route::list(tx, &id)?;
            let same = |a: &ZoneRoute, b: &ZoneRoute| a.zone_id == b.zone_id && a.pattern == b.pattern;
            for gone in all.iter().filter(|r| r.script.as_ref() == Some(&name) && !wanted.iter().any(|w| same(w, r))) {
                route::delete(tx, &id, &gone.id)?;
            }
            for (at, one) in wanted.iter().enumerate().filter(|(at, one)| !wanted[..*at].iter().any(|w| same(w, one))) {
                match all.iter().find(|r| same(r, one)) {
                    Some(there) => route::update(tx, &id, &ZoneRoute { script: Some(name.clone()), ..there.clone() })?,
                    None => {
                        let made = ZoneRoute { id: Uuid::mint(&env), script: Some(name.clone()), ..wanted[at].clone() };
                        route::insert(tx, &env, &id, &made)?;
                    }
                }
            }
            let now = route::list(tx, &id)?;
            if now.len() > limits::ROUTES {
                return Err(WorkersError::BadRequest(format!("an account may have {} routes", limits::ROUTES)));
            }
            Ok(now.into_iter().filter(|r| r.script.as_ref() == Some(&name)).collect())
        });
        let kept = kept.await?;
        self.publish_hosts(account).await?;
        Ok(kept)
    }

    /// A route lies in its zone and leads to a Worker that is there, or deliberately to none.
    async fn routable(&self, account: &CloudAccountId, route: &ZoneRoute) -> Result<(), WorkersError> {
        if !route.pattern.is_within(&route.zone_name) {
            return Err(WorkersError::BadRequest(format!("the route `{}` does not lie in the zone `{}`", route.pattern, route.zone_name)));
        }
        match &route.script {
            Some(script) => self.script(account, script).await.map(drop),
            None => Ok(()),
        }
    }
}

fn refuse_twice(all: &[ZoneRoute], new: &ZoneRoute) -> Result<(), WorkersError> {
    let twice = all.iter().any(|r| r.id != new.id && r.zone_id == new.zone_id && r.pattern == new.pattern);
    if twice { Err(WorkersError::RouteExists) } else { Ok(()) }
}
