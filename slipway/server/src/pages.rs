//! What slipway shows to people: a front page and the terms.

pub mod dashboard;
pub mod terms;
