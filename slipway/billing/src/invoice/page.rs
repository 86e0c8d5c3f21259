//! A document as a page that can be printed: plain HTML, no script.

use std::fmt::Write as _;

use purser_values::Money;

use super::{Document, Kind};

impl Document {
    /// The part of a page between a header and a footer. Everything that somebody wrote is escaped.
    #[must_use]
    pub fn html(&self, seller: &str, buyer: &str) -> String {
        let title = match self.kind {
            Kind::Invoice => "Invoice",
            Kind::CreditNote => "Credit note",
        };
        let money = |minor: i64| escape(&Money::from_minor(minor, self.currency).to_string());
        let mut html = format!("<h1>{title} {}</h1><dl>", escape(&self.number));
        let _ = write!(html, "<dt>Issued</dt><dd>{}</dd>", self.issued_at.for_people());
        let _ = write!(html, "<dt>From</dt><dd>{}</dd><dt>To</dt><dd>{}</dd>", escape(seller), escape(buyer));
        let _ = write!(html, "<dt>For</dt><dd><code>{}</code></dd>", escape(&self.resource));
        if let Some(of) = &self.of {
            let _ = write!(html, "<dt>About invoice</dt><dd>{}</dd>", escape(of));
        }
        html.push_str(
            "</dl><table><thead><tr><th>Description</th><th>Period</th><th>Quantity</th><th>Unit price</th><th>Amount</th></tr></thead><tbody>",
        );
        for line in &self.lines {
            let period = match (line.start, line.end) {
                (Some(start), Some(end)) => format!("{} – {}", start.for_people(), end.for_people()),
                _ => String::new(),
            };
            let _ = write!(
                html,
                "<tr><td>{}</td><td>{period}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&line.description),
                line.quantity,
                escape(&line.unit_price),
                money(line.amount_minor),
            );
        }
        let _ = write!(html, "<tr><td>Tax</td><td colspan=\"3\">{}</td><td>{}</td></tr>", escape(&self.tax_reason), money(self.tax_minor));
        let _ = write!(html, "</tbody><tfoot><tr><th colspan=\"4\">Total</th><th>{}</th></tr></tfoot></table>", money(self.total_minor));
        let word = if self.kind == Kind::Invoice { "Paid by" } else { "Given back of" };
        let _ = write!(html, "<p>{word}: {}</p>", escape(&self.charges.join(", ")));
        html
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
