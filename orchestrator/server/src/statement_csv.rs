//! A month as comma-separated values (RFC 4180): on the page, and through the API.
//!
//! Names and descriptions come from agents and providers. A spreadsheet would run a cell that begins like a formula, so such
//! a cell gets an apostrophe in front.

use std::collections::HashMap;

use purser_spend::refund::Refund;
use purser_spend::refund::due::Due;
use purser_spend::statement::{Statement, StatementLine};
use purser_values::id::AgentId;

const HEAD: &str = "charge,at,agent,agent_name,grant,provider,project,resource,description,currency,amount,amount_minor,state,code,refund,owed_minor,owed_until,owed_reason,irreversible\r\n";

/// One row for each charge, then one for each refund of the month, whose amount is negative: the rows that succeeded add up to what the
/// month cost. Amounts are numbers in the currency and in its smallest unit.
pub fn render(statement: &Statement, name: impl Fn(&AgentId) -> String) -> String {
    let mut out = HEAD.to_owned();
    let owed: HashMap<_, _> = statement.owed.iter().map(|due| (&due.charge, due)).collect();
    let rows = statement.charges.iter().map(|charge| charge_row(charge, owed.get(&charge.id), &name));
    for row in rows.chain(statement.refunds.iter().map(|refund| refund_row(statement, refund, &name))) {
        out.push_str(&row.join(","));
        out.push_str("\r\n");
    }
    out
}

fn charge_row(charge: &StatementLine, owed: Option<&&Due>, name: impl Fn(&AgentId) -> String) -> Vec<String> {
    let cells = [
        charge.id.to_string(),
        charge.at.to_string(),
        charge.agent.to_string(),
        name(&charge.agent),
        charge.grant.to_string(),
        charge.provider.to_string(),
        charge.project.to_string(),
        charge.resource.to_string(),
        charge.description.clone(),
        charge.amount.currency().to_string(),
        charge.amount.decimal(),
        charge.amount.minor().to_string(),
        charge.state.name().to_owned(),
        charge.code.clone().unwrap_or_default(),
        String::new(),
        owed.map(|due| due.amount.minor().to_string()).unwrap_or_default(),
        owed.map(|due| due.until.to_string()).unwrap_or_default(),
        owed.map(|due| due.reason.to_owned()).unwrap_or_default(),
        if charge.irreversible { "yes" } else { "no" }.to_owned(),
    ];
    cells.map(|text| cell(&text)).to_vec()
}

fn refund_row(statement: &Statement, refund: &Refund, name: impl Fn(&AgentId) -> String) -> Vec<String> {
    let nothing = String::new;
    let text = |text: String| cell(&text);
    vec![
        text(refund.charge.to_string()),
        text(refund.begun_at.to_string()),
        text(refund.agent.to_string()),
        text(name(&refund.agent)),
        nothing(),
        text(refund.provider.to_string()),
        text(statement.projects.get(&refund.charge).map(ToString::to_string).unwrap_or_default()),
        nothing(),
        text(refund.reason.clone()),
        text(refund.amount.currency().to_string()),
        // Numbers of our own, which a spreadsheet may read as negative.
        format!("-{}", refund.amount.decimal()),
        format!("-{}", refund.amount.minor()),
        text(refund.state.name().to_owned()),
        text(refund.code.clone().unwrap_or_default()),
        text(refund.id.to_string()),
        nothing(),
        nothing(),
        nothing(),
        nothing(),
    ]
}

fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let safe = if formula { format!("'{text}") } else { text.to_owned() };
    // Where a comma is part of numbers, spreadsheets take semicolons or tabs for what divides cells.
    if safe.contains([',', ';', '\t', '"', '\r', '\n']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_quoted_where_it_must_and_never_a_formula() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("x;=1+1"), "\"x;=1+1\"");
        assert_eq!(cell("\tx"), "\"'\tx\"");
        for formula in ["@sum", "+1", "-1", "＝1+1"] {
            assert_eq!(cell(formula), format!("'{formula}"));
        }
    }
}
