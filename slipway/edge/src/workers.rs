//! The runtime of `slipway/workers` as the edge's routing table: names translated, nothing decided.

use std::sync::Arc;

use http::request;
use http_body_util::BodyExt as _;
use purser_values::name::HostName;
use slipway_workers::runtime::site;

use crate::route::{Answer, BodyError, Hold, Pending, RouteTarget, Router, Site, SiteLabel, Unavailable, Upstream};

/// Routes by what `lookup` says, which is the runtime's table. It is asked with the path of a URL, or without one for a whole host.
pub struct WorkersRouter<F>(F);

impl<F> WorkersRouter<F>
where
    F: Fn(&HostName, Option<&str>) -> site::Target + Send + Sync + 'static,
{
    pub const fn new(lookup: F) -> Self {
        Self(lookup)
    }
}

impl<F> Router for WorkersRouter<F>
where
    F: Fn(&HostName, Option<&str>) -> site::Target + Send + Sync + 'static,
{
    fn route(&self, host: &HostName) -> RouteTarget {
        translated((self.0)(host, None))
    }

    fn find(&self, host: &HostName, path: &str) -> RouteTarget {
        translated((self.0)(host, Some(path)))
    }
}

fn translated(target: site::Target) -> RouteTarget {
    match target {
        site::Target::Unknown => RouteTarget::Unknown,
        site::Target::Suspended => RouteTarget::Suspended,
        site::Target::Site(site) => {
            let label = SiteLabel { account: site.account.clone(), script: site.script.clone(), version: site.version.clone() };
            RouteTarget::Site(Arc::new(Served { label, site }))
        }
    }
}

struct Served {
    label: SiteLabel,
    site: Arc<site::Site>,
}

impl Site for Served {
    fn label(&self) -> &SiteLabel {
        &self.label
    }

    fn answer<'a>(&'a self, request: &'a request::Parts) -> Pending<'a, Result<Answer, Unavailable>> {
        Box::pin(async move {
            match self.site.answer(request).await {
                Ok(site::Answer::Respond(response)) => {
                    Ok(Answer::Respond(response.map(|body| body.map_err(BodyError::new).boxed_unsync())))
                }
                Ok(site::Answer::Forward { socket, generation, hold }) => {
                    Ok(Answer::Forward(Upstream { socket, generation, hold: Hold::new(hold) }))
                }
                Err(e) => Err(Unavailable::Broken(e.to_string())),
            }
        })
    }
}
