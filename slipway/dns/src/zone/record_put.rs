//! `record_put`: add a record to a zone.

use purser_db::Tx;
use purser_values::Timestamp;
use purser_values::id::CloudAccountId;
use purser_values::name::DomainName;

use crate::record::{Data, Kind, Owner, Proxiable, Record};
use crate::store;
use crate::zone::get::zone_get;
use crate::zone::{MAX_RECORDS, ZoneError};

/// What happens to records of the same owner that do not go together with the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// They stay and the new record is refused.
    Keep,
    /// They give way.
    Replace,
}

/// Adds the record; a record with the same owner and data only gets the new time to live.
///
/// # Errors
/// When the account has no such zone, the owner lies outside of it, the record does not go together with others, or the zone is full.
pub fn record_put(
    tx: &mut Tx<'_>,
    now: Timestamp,
    account: &CloudAccountId,
    zone: &DomainName,
    record: &Record,
    existing: Existing,
) -> Result<(), ZoneError> {
    let zone = zone_get(tx, account, zone)?;
    if !record.owner.is_within(&zone.name) {
        return Err(ZoneError::Outside(record.owner.clone()));
    }
    let at_apex = record.owner.as_str() == zone.name.as_str();
    if at_apex && matches!(record.data, Data::Cname { .. } | Data::Ns { .. }) {
        return Err(ZoneError::Apex);
    }
    clear_way(tx, &zone.name, record, existing)?;
    store::put_record(tx, &zone.name, record, now)?;
    if store::count_records(tx, &zone.name)? > MAX_RECORDS {
        return Err(ZoneError::Full);
    }
    Ok(store::touch(tx, &zone, now)?)
}

fn clear_way(tx: &mut Tx<'_>, zone: &DomainName, record: &Record, existing: Existing) -> Result<(), ZoneError> {
    for other in store::records_at(tx, zone, &record.owner)? {
        if other.data == record.data || go_together(&record.data, &other.data) {
            continue;
        }
        match existing {
            Existing::Keep => return Err(ZoneError::Conflict(record.owner.clone())),
            Existing::Replace => drop(store::delete_record(tx, zone, &other.owner, &other.data)?),
        }
    }
    Ok(())
}

/// An alias stands alone (RFC 1034 section 3.6.2), so does a delegation, and a host is either ours or somewhere else.
pub(crate) fn go_together(a: &Data, b: &Data) -> bool {
    let pair = |x: &Data, y: &Data| match (x, y) {
        (Data::Cname { .. }, _) => false,
        (Data::Ns { .. }, other) => matches!(other, Data::Ns { .. } | Data::Other { kind: Kind::Ds, .. }),
        (Data::Edge, Data::A { .. } | Data::Aaaa { .. } | Data::Proxied { .. }) => false,
        (Data::Proxied { .. }, Data::A { .. } | Data::Aaaa { .. }) => false,
        (Data::Proxied { of: Proxiable::Cname, .. }, Data::Proxied { .. }) => false,
        _ => true,
    };
    pair(a, b) && pair(b, a)
}

/// The record by which a host is served by our edge.
#[must_use]
pub fn edge_record(host: impl Into<Owner>) -> Record {
    Record { owner: host.into(), ttl_s: crate::record::TTL_DEFAULT_S, data: Data::Edge }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_and_delegations_stand_alone() {
        let a = Data::A { address: "192.0.2.1".parse().unwrap() };
        let txt = Data::Txt { text: "x".to_owned() };
        let cname = |target: &str| Data::Cname { target: target.parse().unwrap() };
        let ns = |server: &str| Data::Ns { server: server.parse().unwrap() };
        assert!(go_together(&a, &txt) && go_together(&Data::Edge, &txt) && go_together(&ns("a.test"), &ns("b.test")));
        for (x, y) in [(&cname("x.test"), &cname("y.test")), (&cname("x.test"), &txt), (&ns("x.test"), &a), (&Data::Edge, &a)] {
            assert!(!go_together(x, y) && !go_together(y, x), "{x:?} and {y:?}");
        }
    }
}
