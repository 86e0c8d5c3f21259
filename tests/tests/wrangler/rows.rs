//! The rows of the table, by command group.

#[path = "rows/assets.rs"]
mod assets;
#[path = "rows/bindings.rs"]
mod bindings;
#[path = "rows/d1.rs"]
mod d1;
#[path = "rows/deploy.rs"]
mod deploy;
#[path = "rows/durable.rs"]
mod durable;
#[path = "rows/kv.rs"]
mod kv;
#[path = "rows/others.rs"]
mod others;
#[path = "rows/queues.rs"]
mod queues;
#[path = "rows/r2.rs"]
mod r2;
#[path = "rows/secrets.rs"]
mod secrets;
#[path = "rows/triggers.rs"]
mod triggers;
#[path = "rows/versions.rs"]
mod versions;

use std::future::Future;
use std::pin::Pin;

use crate::lane::Lane;
use crate::outcome::Done;

pub type Run = for<'a> fn(&'a Lane<'a>) -> Pin<Box<dyn Future<Output = Done> + Send + 'a>>;

pub struct Row {
    pub group: &'static str,
    pub command: &'static str,
    pub run: Run,
}

macro_rules! rows {
    ($($group:literal { $($command:literal => $run:path;)* })*) => {
        pub const ROWS: &[Row] = &[$($(Row { group: $group, command: $command, run: |at| Box::pin($run(at)) },)*)*];
    };
}

rows! {
    "Account" {
        "`whoami`" => others::whoami;
        "`whoami` without `CLOUDFLARE_ACCOUNT_ID`" => others::whoami_alone;
        "`deploy --temporary` without credentials" => others::temporary;
    }
    "Deploy" {
        "`deploy`: modules" => deploy::modules;
        "`deploy`: a redeployment" => deploy::again;
        "`deploy`: text, data and Wasm modules" => deploy::modules_of_all_kinds;
        "`deploy`: service-worker format" => deploy::service_worker;
        "`deploy`: service-worker format with Wasm, text and data" => deploy::service_worker_parts;
        "`deploy`: Python" => deploy::python;
        "`deploy`: `vars` of text and JSON" => deploy::vars;
        "`deploy --var`, `--keep-vars`" => deploy::keep_vars;
        "`deploy --env`" => deploy::environment;
        "`deploy`: `nodejs_compat`" => deploy::node;
        "`deploy`: code that does not start" => deploy::broken;
        "`deploy --dry-run --outdir`" => deploy::dry;
        "`delete`" => deploy::delete;
        "`delete` of a Worker that another is bound to" => deploy::delete_bound;
    }
    "Static assets" {
        "`deploy`: assets only" => assets::only;
        "`deploy`: assets and a Worker" => assets::with_worker;
        "`run_worker_first`" => assets::worker_first;
        "`html_handling`, `not_found_handling`" => assets::handling;
        "`_headers`" => assets::headers;
        "`_redirects`" => assets::redirects;
        "a redeployment uploads what changed" => assets::changed;
    }
    "Secrets" {
        "`secret put`, `list`, `delete`" => secrets::one;
        "`secret bulk`" => secrets::bulk;
        "`versions secret put`, `list`, `delete`" => secrets::of_versions;
        "`versions secret bulk`" => secrets::of_versions_bulk;
    }
    "Versions and deployments" {
        "`versions upload`, `list`, `view`" => versions::upload;
        "`versions deploy ID@100%`" => versions::deploy;
        "`versions deploy ID@20% ID@80%`" => versions::split;
        "`deployments list`, `status`" => versions::deployments;
        "`rollback`" => versions::rollback;
        "`rollback` to before a secret changed" => versions::rollback_secret;
        "`tail`" => versions::tail;
    }
    "Triggers" {
        "`triggers.crons`" => triggers::cron;
        "`routes` with `custom_domain`" => triggers::domain;
        "`routes` by pattern" => triggers::routes;
        "`triggers deploy`" => triggers::deploy;
        "`workers_dev = false`" => triggers::off;
    }
    "KV" {
        "`kv namespace create`, `list`, `rename`, `delete`" => kv::namespaces;
        "`kv key put`, `get`, `list`, `delete`" => kv::keys;
        "`kv key put --metadata --ttl`" => kv::metadata;
        "`kv bulk put`, `get`, `delete`" => kv::bulk;
        "a Worker reads and writes a namespace" => kv::worker;
    }
    "D1" {
        "`d1 create`, `list`, `info`, `delete`" => d1::databases;
        "`d1 execute --command`" => d1::command;
        "`d1 execute --file`" => d1::file;
        "`d1 migrations create`, `list`, `apply`" => d1::migrations;
        "`d1 export`" => d1::export;
        "`d1 time-travel info`, `restore`" => d1::time_travel;
        "a Worker queries a database" => d1::worker;
    }
    "R2" {
        "`r2 bucket create`, `list`, `info`, `delete`" => r2::buckets;
        "`r2 object put`, `get`, `delete`" => r2::objects;
        "`r2 bucket cors list`" => others::cors;
        "`r2 bucket lifecycle list`" => others::lifecycle;
        "a Worker reads and writes a bucket, multipart too" => r2::worker;
    }
    "Durable Objects" {
        "`migrations` with `new_sqlite_classes`" => durable::counter;
        "`renamed_classes` keeps the data" => durable::renamed;
        "`deleted_classes`" => durable::deleted;
        "alarms" => durable::alarm;
    }
    "Queues" {
        "`queues create`, `list`, `info`, `update`, `delete`" => queues::queues;
        "`queues consumer add`, `remove`" => queues::consumers;
        "`queues purge`" => queues::purge;
        "a Worker sends, another consumes" => queues::worker;
    }
    "Bindings" {
        "`services`" => bindings::service;
        "`version_metadata`" => bindings::version_metadata;
        "`ratelimit`" => bindings::rate_limit;
        "ids are provisioned: KV, D1 and R2 without ids" => bindings::provisioned;
        "`ai`" => bindings::ai;
        "`analytics_engine_datasets`" => bindings::analytics;
        "`browser`" => bindings::browser;
        "`dispatch_namespaces`" => bindings::dispatch;
        "`hyperdrive`" => bindings::hyperdrive;
        "`images`" => bindings::images;
        "`mtls_certificates`" => bindings::mtls;
        "`pipelines`" => bindings::pipelines;
        "`secrets_store_secrets`" => bindings::secrets_store;
        "`send_email`" => bindings::send_email;
        "`vectorize`" => bindings::vectorize;
        "`worker_loaders`" => bindings::worker_loader;
        "`workflows`" => bindings::workflows;
    }
    "Products that are not here" {
        "`pages project list`" => others::pages;
        "`vectorize list`" => others::vectorize;
        "`hyperdrive list`" => others::hyperdrive;
        "`workflows list`" => others::workflows;
        "`containers list`" => others::containers;
        "`secrets-store store list`" => others::secrets_store;
        "`ai models`" => others::ai;
        "`dispatch-namespace list`" => others::dispatch;
        "`mtls-certificate list`" => others::mtls;
        "`pipelines list`" => others::pipelines;
    }
}
