//! What is spoken beyond the standard objects: DS records, grace periods, prices.

pub mod fee;
pub mod rgp;
pub mod secdns;
