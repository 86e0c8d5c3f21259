//! slipway-registrar
