//! Everything that a route may use, made once by the composition.

use std::sync::Arc;

use purser_crypto::seal::Keyring;
use purser_db::Db;
use purser_db::jobs::Runner;
use purser_http::peer::TrustedProxies;
use purser_http::places::Places;
use purser_provider::OrchestratorClient;
use purser_values::Env;
use purser_values::id::CloudAccountId;
use purser_wire::manifest::Manifest;
use slipway_accounts::realm::Realm;
use slipway_billing::credit::programme::Offer;
use slipway_billing::driver::Billing;
use slipway_dns::server::Nameserver;
use slipway_edge::acme::Acme;
use slipway_registrar::registrar::Registrar;
use slipway_stores::Stores;
use slipway_workers::Workers;
use tokio::sync::Notify;
use url::Url;

use crate::abuse::Guard;
use crate::api::tails::Tails;
use crate::api::throttle::Throttle;
use crate::config::Profile;
use crate::pages::terms::Terms;

/// The running cloud.
pub struct Cloud {
    pub env: Env,
    pub db: Db,
    pub keyring: Keyring,
    pub workers: Workers,
    /// What Workers keep.
    pub stores: Stores,
    /// Nothing where no registry is connected; then no domain is sold.
    pub registrar: Option<Registrar>,
    pub nameserver: Arc<Nameserver>,
    /// Who gets certificates, where an authority issues them.
    pub acme: Option<Acme>,
    pub orchestrator: OrchestratorClient,
    pub billing: Billing,
    pub jobs: Runner,
    /// Tells the runner that something was enqueued here.
    pub wake_jobs: Arc<Notify>,
    pub manifest: Manifest,
    /// The programmes of credit that the operator offers.
    pub offers: Arc<[Offer]>,
    pub terms: Terms,
    /// The detectors of abuse.
    pub guard: Guard,
    pub profile: Profile,
    /// Where clients reach us; ends in `/`.
    pub public_url: Url,
    /// Memory for bodies that are held as a whole, in KiB.
    pub memory: Arc<Places<CloudAccountId>>,
    /// Places for bodies that pass through to a store.
    pub streams: Places<CloudAccountId>,
    /// How fast the API may be called.
    pub throttle: Throttle,
    /// Who looks on while Workers work.
    pub tails: Tails,
    /// What sign-in, links and mail need.
    pub realm: Realm,
    pub proxies: TrustedProxies,
    /// The orchestrator, by the address that it is known under here.
    pub orchestrator_url: Url,
    /// Where browsers go back to after a decision.
    pub callback_url: Url,
}

/// As handlers hold it.
pub type Shared = Arc<Cloud>;
