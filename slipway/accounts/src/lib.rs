//! slipway-accounts
