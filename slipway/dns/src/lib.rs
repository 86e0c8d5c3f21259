//! slipway-dns
