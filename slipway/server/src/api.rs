//! The Cloudflare-compatible API, version 4, below `/client/v4`: what an unmodified wrangler calls, and no more.
//!
//! One file per group of endpoints. Handlers parse, obtain the caller's permit, run one use case, and render. What is not here answers
//! 7003, so that a client can tell a missing route from a missing Worker.

pub mod caller;
pub mod envelope;

mod absent;
mod accounts;
mod assets;
mod audit;
mod body;
mod content;
mod d1;
mod deployments;
mod dns_records;
mod dnssec;
mod domains;
mod empty;
mod graphql;
mod kv;
mod members;
pub mod memory;
mod nested;
mod queues;
mod r2;
mod record;
mod registrar;
mod render;
mod repeat;
mod routes;
mod schedules;
mod scripts;
mod secrets;
mod services;
mod settings;
mod stored;
mod subdomain;
mod subscriptions;
pub mod tails;
pub mod throttle;
mod tokens;
mod upload;
mod usage;
mod user;
mod versions;
mod zones;

use std::borrow::Cow;
use std::sync::Arc;

use axum::Router;
use purser_values::limits::UPLOAD_BODY_BYTES;
use slipway_workers::name::ScriptName;

use crate::cloud::Shared;
use envelope::Failure;

purser_http::routes! { Shared;
    post "/provisioning/previews/challenge" => absent::temporary;
    post "/provisioning/previews" => absent::temporary;
    get "/user" => user::get;
    get "/user/tokens/verify" => user::verify;
    get "/user/tokens/permission_groups" => tokens::groups;
    get "/user/tokens" => tokens::list;
    post "/user/tokens" => tokens::create;
    get "/user/tokens/{token}" => tokens::get;
    put "/user/tokens/{token}" => tokens::update;
    delete "/user/tokens/{token}" => tokens::delete;
    put "/user/tokens/{token}/value" => tokens::roll;
    get "/accounts/{account}/tokens/verify" => tokens::verify_of_account;
    get "/accounts/{account}/tokens/permission_groups" => tokens::groups_of_account;
    get "/accounts/{account}/tokens" => tokens::list_of_account;
    post "/accounts/{account}/tokens" => tokens::create_of_account;
    get "/accounts/{account}/tokens/{token}" => tokens::get_of_account;
    put "/accounts/{account}/tokens/{token}" => tokens::update_of_account;
    delete "/accounts/{account}/tokens/{token}" => tokens::delete_of_account;
    put "/accounts/{account}/tokens/{token}/value" => tokens::roll_of_account;
    get "/accounts/{account}/members" => members::list;
    get "/accounts/{account}/roles" => members::roles;
    get "/accounts/{account}/logs/audit" => audit::list;
    get "/accounts/{account}/audit_logs" => audit::list_first_form;
    get "/user/audit_logs" => audit::list_of_user;
    get "/memberships/{membership}" => accounts::membership;
    get "/memberships" => accounts::memberships;
    get "/user/subscriptions" => subscriptions::of_user;
    get "/accounts" => accounts::list;
    get "/accounts/{account}" => accounts::get;
    get "/accounts/{account}/subscriptions" => subscriptions::list;
    get "/accounts/{account}/subscriptions/{subscription}" => subscriptions::get;
    get "/accounts/{account}/billable/usage" => usage::list;
    get "/accounts/{account}/billable-usage" => usage::list;
    get "/accounts/{account}/billable-usage/info" => usage::info;
    get "/accounts/{account}/storage/kv/namespaces" => kv::list;
    post "/accounts/{account}/storage/kv/namespaces" => kv::create;
    get "/accounts/{account}/storage/kv/namespaces/{namespace}" => kv::get;
    put "/accounts/{account}/storage/kv/namespaces/{namespace}" => kv::rename;
    delete "/accounts/{account}/storage/kv/namespaces/{namespace}" => kv::delete;
    get "/accounts/{account}/storage/kv/namespaces/{namespace}/keys" => kv::keys::list;
    get "/accounts/{account}/storage/kv/namespaces/{namespace}/metadata/{*key}" => kv::values::metadata;
    get "/accounts/{account}/storage/kv/namespaces/{namespace}/values/{*key}" => kv::values::get;
    put "/accounts/{account}/storage/kv/namespaces/{namespace}/values/{*key}" => kv::values::put, UPLOAD_BODY_BYTES;
    delete "/accounts/{account}/storage/kv/namespaces/{namespace}/values/{*key}" => kv::values::delete;
    put "/accounts/{account}/storage/kv/namespaces/{namespace}/bulk" => kv::bulk::put, UPLOAD_BODY_BYTES;
    delete "/accounts/{account}/storage/kv/namespaces/{namespace}/bulk" => kv::bulk::delete, UPLOAD_BODY_BYTES;
    post "/accounts/{account}/storage/kv/namespaces/{namespace}/bulk/delete" => kv::bulk::delete, UPLOAD_BODY_BYTES;
    post "/accounts/{account}/storage/kv/namespaces/{namespace}/bulk/get" => kv::bulk::get;
    get "/accounts/{account}/queues" => queues::list;
    post "/accounts/{account}/queues" => queues::create;
    get "/accounts/{account}/queues/{queue}" => queues::get;
    put "/accounts/{account}/queues/{queue}" => queues::change;
    patch "/accounts/{account}/queues/{queue}" => queues::change;
    delete "/accounts/{account}/queues/{queue}" => queues::delete;
    get "/accounts/{account}/queues/{queue}/purge" => queues::messages::purged;
    post "/accounts/{account}/queues/{queue}/purge" => queues::messages::purge;
    get "/accounts/{account}/queues/{queue}/consumers" => queues::consumers::list;
    post "/accounts/{account}/queues/{queue}/consumers" => queues::consumers::create;
    get "/accounts/{account}/queues/{queue}/consumers/{consumer}" => queues::consumers::get;
    put "/accounts/{account}/queues/{queue}/consumers/{consumer}" => queues::consumers::change;
    delete "/accounts/{account}/queues/{queue}/consumers/{consumer}" => queues::consumers::delete;
    post "/accounts/{account}/queues/{queue}/messages" => queues::messages::send;
    post "/accounts/{account}/queues/{queue}/messages/batch" => queues::messages::batch, 1 << 20;
    post "/accounts/{account}/queues/{queue}/messages/pull" => queues::messages::pull;
    post "/accounts/{account}/queues/{queue}/messages/ack" => queues::messages::ack;
    get "/accounts/{account}/d1/database" => d1::list;
    post "/accounts/{account}/d1/database" => d1::create;
    get "/accounts/{account}/d1/database/{database}" => d1::get;
    delete "/accounts/{account}/d1/database/{database}" => d1::delete;
    post "/accounts/{account}/d1/database/{database}/query" => d1::ask;
    post "/accounts/{account}/d1/database/{database}/raw" => d1::raw;
    post "/accounts/{account}/d1/database/{database}/import" => d1::files::import;
    post "/accounts/{account}/d1/database/{database}/export" => d1::files::export;
    get "/accounts/{account}/d1/database/{database}/time_travel/bookmark" => d1::travel::bookmark;
    post "/accounts/{account}/d1/database/{database}/time_travel/restore" => d1::travel::restore;
    put "/d1/files/{token}" => d1::files::upload, d1::files::BODY_BYTES;
    get "/d1/files/{token}" => d1::files::download;
    get "/accounts/{account}/r2/buckets" => r2::list;
    post "/accounts/{account}/r2/buckets" => r2::create;
    get "/accounts/{account}/r2/buckets/{bucket}" => r2::get;
    patch "/accounts/{account}/r2/buckets/{bucket}" => r2::class;
    delete "/accounts/{account}/r2/buckets/{bucket}" => r2::delete;
    get "/accounts/{account}/r2/buckets/{bucket}/objects" => r2::objects::list;
    get "/accounts/{account}/r2/buckets/{bucket}/objects/{*key}" => r2::objects::get;
    put "/accounts/{account}/r2/buckets/{bucket}/objects/{*key}" => r2::objects::put, r2::objects::BODY_BYTES;
    delete "/accounts/{account}/r2/buckets/{bucket}/objects/{*key}" => r2::objects::delete;
    post "/graphql" => graphql::answer;
    get "/zones" => zones::list;
    post "/zones" => zones::create;
    get "/zones/{zone}" => zones::get;
    get "/zones/{zone}/workers/routes" => routes::list;
    post "/zones/{zone}/workers/routes" => routes::create;
    get "/zones/{zone}/workers/routes/{route}" => routes::get;
    put "/zones/{zone}/workers/routes/{route}" => routes::update;
    delete "/zones/{zone}/workers/routes/{route}" => routes::delete;
    put "/zones/{zone}/activation_check" => zones::activation_check;
    get "/zones/{zone}/dnssec" => dnssec::get;
    patch "/zones/{zone}/dnssec" => dnssec::edit;
    delete "/zones/{zone}/dnssec" => dnssec::delete;
    get "/zones/{zone}/dns_records" => dns_records::list;
    post "/zones/{zone}/dns_records" => dns_records::create;
    post "/zones/{zone}/dns_records/batch" => dns_records::batch, dns_records::BODY_BYTES;
    get "/zones/{zone}/dns_records/export" => dns_records::export;
    post "/zones/{zone}/dns_records/import" => dns_records::import, dns_records::BODY_BYTES;
    get "/zones/{zone}/dns_records/{record}" => dns_records::get;
    patch "/zones/{zone}/dns_records/{record}" => dns_records::edit;
    put "/zones/{zone}/dns_records/{record}" => dns_records::replace;
    delete "/zones/{zone}/dns_records/{record}" => dns_records::delete;
    get "/accounts/{account}/workers/scripts" => scripts::list;
    get "/accounts/{account}/workers/services/{script}" => services::get;
    delete "/accounts/{account}/workers/services/{script}" => scripts::delete;
    get "/accounts/{account}/workers/workers/{script}" => services::worker;
    patch "/accounts/{account}/workers/workers/{script}/versions/latest" => secrets::latest;
    get "/accounts/{account}/workers/subdomain" => subdomain::get;
    put "/accounts/{account}/workers/subdomain" => subdomain::put;
    get "/accounts/{account}/workers/domains" => domains::list;
    get "/accounts/{account}/workers/domains/{domain}" => domains::get;
    delete "/accounts/{account}/workers/domains/{domain}" => domains::delete;
    get "/accounts/{account}/workers/tails/by-consumer/{script}" => empty::list;
    get "/accounts/{account}/workers/durable_objects/namespaces" => empty::list;
    get "/accounts/{account}/workers/scripts/{script}" => content::get;
    put "/accounts/{account}/workers/scripts/{script}" => scripts::upload, UPLOAD_BODY_BYTES;
    delete "/accounts/{account}/workers/scripts/{script}" => scripts::delete;
    get "/accounts/{account}/workers/scripts/{script}/versions" => versions::list;
    post "/accounts/{account}/workers/scripts/{script}/versions" => versions::create, UPLOAD_BODY_BYTES;
    post "/accounts/{account}/workers/assets/upload" => assets::upload, UPLOAD_BODY_BYTES;
    get "/accounts/{account}/workers/scripts/{script}/versions/{version}" => versions::get;
    get "/accounts/{account}/workers/scripts/{script}/deployments" => deployments::list;
    post "/accounts/{account}/workers/scripts/{script}/deployments" => deployments::create;
    get "/accounts/{account}/workers/scripts/{script}/deployments/{deployment}" => deployments::get;
    get "/accounts/{account}/workers/scripts/{script}/settings" => settings::get;
    patch "/accounts/{account}/workers/scripts/{script}/settings" => settings::patch, UPLOAD_BODY_BYTES;
    get "/accounts/{account}/workers/scripts/{script}/content" => content::get;
    get "/accounts/{account}/workers/scripts/{script}/content/v2" => content::get;
    put "/accounts/{account}/workers/scripts/{script}/content" => content::put, UPLOAD_BODY_BYTES;
    get "/accounts/{account}/workers/scripts/{script}/script-settings" => settings::script_get;
    patch "/accounts/{account}/workers/scripts/{script}/script-settings" => settings::script_patch;
    get "/accounts/{account}/workers/scripts/{script}/subdomain" => subdomain::script_get;
    post "/accounts/{account}/workers/scripts/{script}/subdomain" => subdomain::script_put;
    delete "/accounts/{account}/workers/scripts/{script}/subdomain" => subdomain::script_delete;
    get "/accounts/{account}/workers/scripts/{script}/secrets" => secrets::list;
    put "/accounts/{account}/workers/scripts/{script}/secrets" => secrets::put;
    delete "/accounts/{account}/workers/scripts/{script}/secrets/{secret}" => secrets::delete;
    patch "/accounts/{account}/workers/scripts/{script}/secrets-bulk" => secrets::bulk;
    post "/accounts/{account}/workers/scripts/{script}/assets-upload-session" => assets::session;
    post "/accounts/{account}/workers/scripts/{script}/domains/changeset" => domains::changeset;
    put "/accounts/{account}/workers/scripts/{script}/domains/records" => domains::records;
    get "/accounts/{account}/workers/scripts/{script}/references" => empty::object;
    get "/accounts/{account}/workers/scripts/{script}/tails" => tails::list;
    post "/accounts/{account}/workers/scripts/{script}/tails" => tails::create;
    delete "/accounts/{account}/workers/scripts/{script}/tails/{tail}" => tails::delete;
    get "/tails/{token}" => tails::socket::open;
    get "/accounts/{account}/workers/scripts/{script}/schedules" => schedules::list;
    put "/accounts/{account}/workers/scripts/{script}/schedules" => schedules::put;
    put "/accounts/{account}/workers/scripts/{script}/routes" => routes::replace;
}

/// The router, to be nested below `/client/v4`.
pub fn router(cloud: Shared) -> Router {
    let written_down = axum::middleware::from_fn_with_state(cloud.clone(), record::changes);
    let once = axum::middleware::from_fn_with_state((cloud.clone(), Arc::<repeat::Calls>::default()), repeat::once);
    table()
        .merge(registrar::routes())
        .fallback(absent::unknown)
        .method_not_allowed_fallback(absent::unknown)
        .layer(written_down)
        .layer(once)
        .with_state(cloud)
}

/// The value of a parameter of a query string.
fn query<'a>(text: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    url::form_urlencoded::parse(text.unwrap_or_default().as_bytes()).find(|(n, _)| n == name).map(|(_, v)| v)
}

/// The Worker that a path names. What cannot be a name is a Worker that does not exist.
fn existing(script: &str) -> Result<ScriptName, Failure> {
    script.parse().map_err(|_| slipway_workers::WorkersError::ScriptNotFound.into())
}

/// The name of a Worker that may be made now.
fn named(script: &str) -> Result<ScriptName, Failure> {
    script.parse().map_err(|e: slipway_workers::name::ParseNameError| Failure::invalid(e.to_string()))
}
