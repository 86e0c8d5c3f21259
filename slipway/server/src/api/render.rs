//! The runtime's views as Cloudflare's JSON.

use purser_values::Timestamp;
use serde_json::{Value, json};
use slipway_workers::view::{CustomDomain, Deployment, Script, ScriptSettings, ScriptSubdomain, Service, Share, Version};

/// What `last_deployed_from` always says: any other word makes wrangler ask before it overwrites.
const DEPLOYED_FROM: &str = "wrangler";
const USAGE_MODEL: &str = "standard";

pub fn script(script: &Script, version: Option<&Version>) -> Value {
    json!({
        "id": script.name,
        "tag": script.tag,
        "tags": script.settings.tags,
        "etag": version.map(|v| v.code_digest.to_string()),
        "handlers": handlers(version),
        "has_assets": version.is_some_and(|v| v.has_assets),
        "has_modules": version.is_some_and(|v| v.main_module.is_some()),
        "compatibility_date": version.map(|v| v.compatibility_date.clone()),
        "compatibility_flags": version.map(|v| v.compatibility_flags.clone()),
        "deployment_id": version.map(|v| v.id.to_string()),
        "startup_time_ms": version.and_then(|v| v.startup_time_ms),
        "last_deployed_from": DEPLOYED_FROM,
        "migration_tag": script.migration_tag,
        "usage_model": USAGE_MODEL,
        "logpush": script.settings.logpush,
        "observability": script.settings.observability,
        "created_on": time(script.created_at),
        "modified_on": time(script.modified_at),
    })
}

pub fn service(service: &Service) -> Value {
    let found = &service.script;
    json!({
        "id": found.name,
        "default_environment": {
            "environment": "production",
            "script": script(found, service.version.as_ref()),
            "created_on": time(found.created_at),
            "modified_on": time(found.modified_at),
        },
        "environments": [],
        "created_on": time(found.created_at),
        "modified_on": time(found.modified_at),
    })
}

pub fn settings(script: &Script, version: Option<&Version>) -> Value {
    let mut value = script_settings(&script.settings);
    value["bindings"] = json!(version.map(|v| v.bindings.clone()).unwrap_or_default());
    value["compatibility_date"] = json!(version.map(|v| v.compatibility_date.clone()));
    value["compatibility_flags"] = json!(version.map(|v| v.compatibility_flags.clone()).unwrap_or_default());
    value["usage_model"] = json!(USAGE_MODEL);
    value["placement"] = json!({});
    value
}

pub fn script_settings(settings: &ScriptSettings) -> Value {
    json!({
        "tags": settings.tags,
        "logpush": settings.logpush,
        "observability": settings.observability,
        "tail_consumers": settings.tail_consumers,
    })
}

pub fn subdomain(subdomain: ScriptSubdomain) -> Value {
    json!({"enabled": subdomain.enabled, "previews_enabled": subdomain.previews_enabled})
}

pub fn version(version: &Version) -> Value {
    json!({
        "id": version.id,
        "number": version.number,
        "metadata": {
            "created_on": time(version.created_at),
            "modified_on": time(version.created_at),
            "source": version.author.source,
            "author_id": version.author.id,
            "author_email": version.author.email,
            "has_preview": false,
        },
        "annotations": version.annotations,
        "startup_time_ms": version.startup_time_ms,
        "resources": {
            "script": {
                "etag": version.code_digest,
                "handlers": handlers(Some(version)),
                "last_deployed_from": DEPLOYED_FROM,
            },
            "script_runtime": {
                "compatibility_date": version.compatibility_date,
                "compatibility_flags": version.compatibility_flags,
                "usage_model": USAGE_MODEL,
                "limits": {},
            },
            "bindings": version.bindings,
        },
    })
}

pub fn deployment(deployment: &Deployment) -> Value {
    let minor = deployment.minor.as_ref().map(|m| (&m.version, m.share));
    let major = (&deployment.version, minor.map_or(Share::ALL, |(_, share)| share.rest()));
    let one = |(version, share): (_, Share)| json!({"version_id": version, "percentage": share.percent()});
    let versions: Vec<Value> = std::iter::once(major).chain(minor).map(one).collect();
    json!({
        "id": deployment.id,
        "source": deployment.author.source,
        "strategy": "percentage",
        "author_email": deployment.author.email,
        "created_on": time(deployment.created_at),
        "annotations": deployment.annotations,
        "versions": versions,
    })
}

pub fn domain(domain: &CustomDomain) -> Value {
    json!({
        "id": domain.id.hex(),
        "hostname": domain.hostname,
        "zone_id": domain.zone_id,
        "zone_name": domain.zone_name,
        "service": domain.script,
        "environment": "production",
    })
}

pub fn time(at: Timestamp) -> String {
    at.to_string()
}

fn handlers(version: Option<&Version>) -> Value {
    if version.is_some_and(|v| v.main_module.is_some()) { json!(["fetch"]) } else { json!([]) }
}
