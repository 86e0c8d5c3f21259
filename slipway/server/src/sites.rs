//! The runtime's routing table as the edge asks for it.

use std::sync::Arc;

use http::{Response, request};
use http_body_util::BodyExt as _;
use purser_values::name::HostName;
use slipway_edge::route::{Answer, Body, BodyError, Pending, RouteTarget, Router, Site, SiteLabel, Unavailable, Upstream};
use slipway_workers::Workers;
use slipway_workers::runtime::site::{self, Target};

/// The edge's router over the runtime.
pub struct Sites(pub Workers);

impl Router for Sites {
    fn route(&self, host: &HostName) -> RouteTarget {
        match self.0.route(host) {
            Target::Unknown => RouteTarget::Unknown,
            Target::Suspended => RouteTarget::Suspended,
            Target::Site(site) => RouteTarget::Site(Arc::new(Live::new(site))),
        }
    }
}

/// One live Worker.
struct Live {
    site: Arc<site::Site>,
    label: SiteLabel,
}

impl Live {
    fn new(site: Arc<site::Site>) -> Self {
        let label = SiteLabel { account: site.account.clone(), script: site.script.clone(), version: site.version.clone() };
        Self { site, label }
    }
}

impl Site for Live {
    fn label(&self) -> &SiteLabel {
        &self.label
    }

    fn answer<'a>(&'a self, request: &'a request::Parts) -> Pending<'a, Result<Answer, Unavailable>> {
        Box::pin(async move {
            match self.site.answer(request).await {
                Ok(site::Answer::Respond(response)) => Ok(Answer::Respond(body_of(response))),
                Ok(site::Answer::Forward { socket, generation }) => Ok(Answer::Forward(Upstream { socket, generation })),
                Err(broken) => Err(Unavailable::Broken(broken.0)),
            }
        })
    }
}

fn body_of(response: Response<slipway_workers::assets::respond::AssetBody>) -> Response<Body> {
    response.map(|body| body.map_err(BodyError::new).boxed_unsync())
}
