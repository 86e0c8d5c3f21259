//! slipway-workers
