//! A record in the words of the Cloudflare API.

use purser_values::name::DomainName;
use serde::Deserialize;
use serde_json::{Value, json};
use slipway_dns::record::{Data, RecordError};
use slipway_dns::zone::Zone;
use slipway_dns::zone::entry::{Entry, TTL_AUTOMATIC, Written, shown_kind};

use super::data;
use crate::api::envelope::Failure;
use crate::api::render::time;

/// A record as clients send it: `content`, or for types with several fields `data`.
#[derive(Deserialize)]
pub struct NewRecord {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    data: Option<Value>,
    /// Some clients send numbers with a fraction of nothing.
    #[serde(default)]
    priority: Option<f64>,
    #[serde(default)]
    proxied: Option<bool>,
    #[serde(default)]
    ttl: Option<f64>,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl NewRecord {
    /// # Errors
    /// When `data` is not of the type, or a number is none.
    pub fn written(self) -> Result<Written, Failure> {
        let content = match (self.content, &self.data) {
            (Some(content), _) => Some(content),
            (None, Some(data)) => Some(data::content(self.kind.as_deref().unwrap_or_default(), data).map_err(Failure::invalid)?),
            (None, None) => None,
        };
        let whole = |number: f64, most: u32, what: &str| -> Result<u32, Failure> {
            let fits = number.fract() == 0.0 && (0.0..=f64::from(most)).contains(&number);
            // Checked to be a whole number in range.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            if fits { Ok(number as u32) } else { Err(Failure::invalid(format!("`{what}` is a whole number of 0 to {most}"))) }
        };
        let priority = self.priority.map(|p| whole(p, u16::MAX.into(), "priority")).transpose()?;
        Ok(Written {
            name: self.name,
            kind: self.kind,
            content,
            priority: priority.and_then(|p| u16::try_from(p).ok()),
            proxied: self.proxied,
            ttl: self.ttl.map(|t| whole(t, u32::MAX, "ttl")).transpose()?,
            comment: self.comment,
            tags: self.tags,
        })
    }
}

pub fn shown(zone: &Zone, entry: &Entry) -> Value {
    let written = entry.written();
    let kind = shown_kind(&entry.record.data);
    let content = written.content.unwrap_or_default();
    let proxiable = matches!(kind, "A" | "AAAA" | "CNAME");
    let mut value = json!({
        "id": entry.id,
        "zone_id": zone.id,
        "zone_name": zone.name,
        "name": entry.record.owner,
        "type": kind,
        "content": content,
        "proxiable": proxiable,
        "proxied": entry.proxied(),
        "ttl": if entry.automatic || entry.record.data == Data::Edge { TTL_AUTOMATIC } else { entry.record.ttl_s },
        "settings": {},
        "meta": if entry.record.data == Data::Edge { json!({"read_only": true}) } else { json!({}) },
        "comment": entry.comment,
        "tags": entry.tags,
        "created_on": time(entry.created_at),
        "modified_on": time(entry.modified_at),
    });
    if let Some(data) = data::object(kind, &content) {
        if let Some(priority) = data.get("priority").filter(|_| matches!(kind, "SRV" | "HTTPS" | "SVCB")) {
            value["priority"] = priority.clone();
        }
        value["data"] = data;
    }
    if let Some(priority) = written.priority {
        value["priority"] = json!(priority);
    }
    value
}

/// What makes two records one: name, type and data.
pub fn identity(written: &Written, zone: &DomainName) -> String {
    let name = written.name.as_deref().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
    let kind = written.kind.as_deref().unwrap_or_default();
    let data = written.content.as_deref().and_then(|content| {
        let data = slipway_dns::record::present::parse(kind, content, written.priority).ok()?;
        Some(slipway_dns::record::present::zone_line(&data))
    });
    format!("{} {kind} {}", if name == "@" { zone.as_str() } else { &name }, data.unwrap_or_default())
}

/// The numbers by which clients know what is wrong with a record.
pub const fn code_of(e: &RecordError) -> u32 {
    match e {
        RecordError::Owner(_) => 9_000,
        RecordError::Ttl(_) => 9_021,
        RecordError::Content { kind, .. } => match kind.as_bytes() {
            b"A" => 9_005,
            b"AAAA" => 9_006,
            b"CNAME" => 9_007,
            b"MX" => 9_009,
            _ => 1_004,
        },
        RecordError::TextTooLong | RecordError::CaaValue | RecordError::Type(_) => 1_004,
    }
}
