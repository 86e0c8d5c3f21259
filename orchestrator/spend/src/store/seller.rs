//! Tokens of a rail's own that one seller redeems there, each within a charge of ours that waits for what was taken.

pub(super) const SELLER: &str = "create table spend_seller_token (
    charge {text} primary key, hold {text} not null, token {text} not null, seller {text} not null, expires_at {int} not null,
    reference {text}, ended_at {int}
){strict};
create index spend_seller_token_hold on spend_seller_token (hold)";
