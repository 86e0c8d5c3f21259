//! What the provider SDK must remember: nonces, codes, token pairs and answers. Each function is one atomic step of its
//! `Store`, whose invariants it keeps; the server joins the two.

pub mod answer;
pub mod code;
pub mod control;
pub mod nonce;
pub mod pair;
