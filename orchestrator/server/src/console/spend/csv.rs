//! A month as comma-separated values (RFC 4180).
//!
//! Names and descriptions come from agents and providers. A spreadsheet would run a cell that begins like a formula, so such
//! a cell gets an apostrophe in front.

use purser_spend::statement::StatementLine;
use purser_values::id::AgentId;

const HEAD: &str = "charge,at,agent,agent_name,grant,provider,project,resource,description,currency,amount,amount_minor,state,code\r\n";

/// One row for each charge, with the amounts as a number in the currency and in its smallest unit.
pub fn render(charges: &[StatementLine], name: impl Fn(&AgentId) -> String) -> String {
    let mut out = HEAD.to_owned();
    for charge in charges {
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
        ];
        out.push_str(&cells.map(|text| cell(&text)).join(","));
        out.push_str("\r\n");
    }
    out
}

fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let safe = if formula { format!("'{text}") } else { text.to_owned() };
    if safe.contains([',', '"', '\r', '\n']) { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_is_quoted_where_it_must_and_never_a_formula() {
        assert_eq!(cell("plain"), "plain");
        assert_eq!(cell("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("@sum"), "'@sum");
    }
}
