//! The address under which this installation is known.

/// One row: what is in everything that was signed, mailed and registered here.
pub(super) const ADDRESS: &str = "create table installation_address (
    one {int} primary key check (one = 1), issuer {text} not null, since {int} not null
){strict}";
