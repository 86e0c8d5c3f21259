//! slipway-edge
