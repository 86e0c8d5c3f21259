//! Rates that organisations state, and those that lines of holds count by.

pub(super) const RATES: &str = "create table spend_rate (
    organisation {text} not null, source_currency {text} not null, target_currency {text} not null,
    numerator {int} not null check (numerator > 0), denominator {int} not null check (denominator > 0),
    deviation_bp {int} not null check (deviation_bp >= 0), source {text} not null, valid_from {int} not null, valid_until {int} not null,
    set_by {text} not null, set_at {int} not null,
    primary key (organisation, source_currency, target_currency)
){strict};
create table spend_line_rate (
    hold {text} not null, line {text} not null, period {text} not null, source_currency {text} not null, target_currency {text} not null,
    numerator {int} not null, denominator {int} not null, deviation_bp {int} not null, source {text} not null,
    valid_from {int} not null, valid_until {int} not null,
    held {int} not null, captured {int} not null, paid {int} not null,
    primary key (hold, line, period, target_currency)
){clustered}";
