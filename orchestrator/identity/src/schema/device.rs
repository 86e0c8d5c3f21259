//! The table of the device flow of registered clients.

pub const DEVICE_SIGN_ON: &str = "
create table device_sign_on (
    id {text} primary key, device_code {text} not null unique, user_code {text} not null unique, client {text} not null,
    asked {text} not null, peer {text} not null, created_at {int} not null, expires_at {int} not null, state {text} not null,
    decided_at {int}, session {text}, signed_in {text}, redeemed_at {int}
){strict};
create index device_sign_on_peer on device_sign_on (peer, state, expires_at);
create index device_sign_on_session on device_sign_on (session);
create index device_sign_on_expires on device_sign_on (expires_at)";
