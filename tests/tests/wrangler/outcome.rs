//! What became of one row of the table.

use std::fmt;

/// How a row ended when it did not simply work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// slipway refused, with this code and sentence.
    Refused { code: u32, sentence: String },
    /// This version of the client does not know the command.
    Unknown,
    /// Anything else: a defect of slipway, or of the row.
    Failed(String),
}

/// What a row answers.
pub type Done<T = ()> = Result<T, Ended>;

/// Longest text of a cell.
const CELL_CHARS: usize = 160;

impl Ended {
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// Reads what wrangler printed: an answer of the API shows as `sentence [code: N]`.
    pub fn of(said: &str) -> Self {
        if said.contains("Unknown argument") {
            return Self::Unknown;
        }
        let refused = said.lines().find_map(|line| {
            let (sentence, rest) = line.split_once("[code: ")?;
            let code = rest.split(']').next()?.parse().ok()?;
            Some(Self::Refused { code, sentence: sentence.trim().trim_start_matches("✘ [ERROR]").trim().to_owned() })
        });
        refused.unwrap_or_else(|| Self::Failed(said.to_owned()))
    }
}

/// A cell of the table, without what differs from run to run.
pub fn cell(done: &Done) -> String {
    match done {
        Ok(()) => "works".to_owned(),
        Err(Ended::Refused { code, sentence }) => format!("refused, {code}: {}", plain(sentence)),
        Err(Ended::Unknown) => "not in this version".to_owned(),
        Err(Ended::Failed(text)) => format!("**fails**: {}", plain(text.lines().find(|l| l.contains("[ERROR]")).unwrap_or("see the test"))),
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { code, sentence } => write!(f, "refused, {code}: {sentence}"),
            Self::Unknown => f.write_str("the client does not know this"),
            Self::Failed(text) => f.write_str(text),
        }
    }
}

/// One line, ids as `…`, no bar that would end a cell.
pub fn plain(text: &str) -> String {
    let id = |word: &str| {
        let digits = word.chars().filter(char::is_ascii_hexdigit).count();
        digits >= 32 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-')
    };
    let separators = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    let mut line = String::new();
    for word in text.trim().split_inclusive(separators) {
        let (body, end) = match word.char_indices().last() {
            Some((at, last)) if separators(last) => word.split_at(at),
            _ => (word, ""),
        };
        line.push_str(if id(body) { "…" } else { body });
        line.push_str(if matches!(end, "|" | "\n") { " " } else { end });
    }
    line.chars().take(CELL_CHARS).collect()
}

/// The rows of a table that neither work nor are refused as what there is not here: defects, which no table may hold.
pub fn unfit(table: &str) -> Vec<&str> {
    let fit = |cell: &str| ["works", "refused, 10021: ", "not in this version"].iter().any(|begin| cell.starts_with(begin));
    let rows = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .filter(|line| !["| command |", "| resource |"].iter().any(|h| line.starts_with(h)));
    rows.filter(|line| !line.trim_matches('|').split(" | ").skip(1).all(|cell| fit(cell.trim()))).collect()
}

/// What a table says of each row without the words of refusals: a row that got better or worse is a difference, another wording is not.
pub fn verdicts(table: &str) -> Vec<String> {
    let verdict = |cell: &str| cell.split(':').next().unwrap_or_default().trim().to_owned();
    let rows = table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("|---"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let results: Vec<String> = cells.iter().skip(1).map(|cell| verdict(cell)).collect();
        format!("{} {results:?}", cells[0])
    })
    .collect()
}
