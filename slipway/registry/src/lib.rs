//! A registry of domain names that speaks EPP (RFC 5730 to 5734) over TLS: what the sandbox registers names at, and what a registrar's
//! client can be tried against.
