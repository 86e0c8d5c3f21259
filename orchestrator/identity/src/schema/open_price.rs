//! Approvals of purchases whose price is prose: the person says what it may cost at most.

pub const OPEN_PRICE: &str = "
alter table approval add column open_price {int} not null default 0;
alter table approval add column most {text}";
