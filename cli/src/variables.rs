//! Delivered variables: which names are taken, and how they are written to a file.
//!
//! Names come from providers. One that the system or an interpreter acts on (`PATH`, `LD_PRELOAD`, `NODE_OPTIONS`) would let
//! a provider run code on this machine, so such names are refused by `run` and by `env --pull` alike.

use std::collections::BTreeMap;

use purser_values::Secret;
use purser_values::error::{Kind, PublicError};

const START: &str = "# >>> purser: written by `purser env --pull`, do not edit >>>";
const END: &str = "# <<< purser <<<";
const NAME_CHARS: usize = 128;

const FORBIDDEN: &[&str] = &[
    "PATH",
    "HOME",
    "SHELL",
    "USER",
    "LOGNAME",
    "IFS",
    "ENV",
    "CDPATH",
    "PS4",
    "BASH_ENV",
    "BASHOPTS",
    "SHELLOPTS",
    "PROMPT_COMMAND",
    "TMPDIR",
    "PWD",
    "LOCPATH",
    "NLSPATH",
    "HOSTALIASES",
    "RES_OPTIONS",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "BROWSER",
    "CLASSPATH",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "RUSTC_WRAPPER",
    "CARGO_HOME",
    "ZDOTDIR",
    "WGETRC",
    "CURL_HOME",
    "OPENSSL_CONF",
];
const FORBIDDEN_STARTS: &[&str] = &[
    "LD_",
    "DYLD_",
    "GLIBC_",
    "MALLOC_",
    "NODE_",
    "NPM_",
    "PYTHON",
    "PERL",
    "RUBY",
    "PHP_",
    "LUA_",
    "GIT_",
    "SSH_",
    "SSL_",
    "PURSER_",
    "BASH_FUNC_",
    "GCONV_",
    "XDG_",
];
const FORBIDDEN_ENDS: &[&str] = &["_PROXY", "_PRELOAD"];

pub type Variables = BTreeMap<String, Secret<String>>;

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    #[error("`{0}` is no name for a variable")]
    Name(String),
    #[error("the variable `{0}` would change how programs run here, so it is not taken from a provider")]
    Dangerous(String),
    #[error("the value of `{0}` cannot be put into an environment")]
    Value(String),
    #[error("the managed block has a start and no end")]
    Block,
}

impl PublicError for VariableError {
    fn code(&self) -> &'static str {
        match self {
            Self::Name(_) => "VARIABLE_NAME",
            Self::Dangerous(_) => "VARIABLE_DANGEROUS",
            Self::Value(_) => "VARIABLE_VALUE",
            Self::Block => "ENV_FILE_DAMAGED",
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Block => Kind::Conflict,
            _ => Kind::Provider,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Block => Some(format!("put `{END}` below the last managed line, or remove the start line; nothing was changed")),
            _ => Some("nothing was exported; tell the person, and remove the resource".to_owned()),
        }
    }
}

/// Refuses the whole delivery when one name or value is not fit.
///
/// # Errors
/// Names the first variable that is refused; never its value.
pub fn check(variables: &Variables) -> Result<(), VariableError> {
    for (name, value) in variables {
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !first || !rest || name.len() > NAME_CHARS {
            return Err(VariableError::Name(name.chars().take(64).collect()));
        }
        let upper = name.to_ascii_uppercase();
        if FORBIDDEN.contains(&upper.as_str())
            || FORBIDDEN_STARTS.iter().any(|start| upper.starts_with(start))
            || FORBIDDEN_ENDS.iter().any(|end| upper.ends_with(end))
        {
            return Err(VariableError::Dangerous(name.clone()));
        }
        if value.expose().contains('\0') {
            return Err(VariableError::Value(name.clone()));
        }
    }
    Ok(())
}

/// A `.env` file with its managed block replaced; every other line is kept as it is.
#[derive(Debug)]
pub struct Merged {
    pub text: Secret<String>,
    /// Names that a line outside the block sets too.
    pub doubled: Vec<String>,
}

/// # Errors
/// When the file's managed block has no end.
pub fn merge(old: &str, variables: &Variables) -> Result<Merged, VariableError> {
    let (before, after) = match old.split_once(START) {
        None => (old.to_owned(), String::new()),
        Some((before, rest)) => {
            let (_, after) = rest.split_once(END).ok_or(VariableError::Block)?;
            (before.to_owned(), after.strip_prefix('\n').unwrap_or(after).to_owned())
        }
    };
    let names = before.lines().chain(after.lines()).filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("export ").unwrap_or(line).split_once('=').map(|(name, _)| name.trim().to_owned())
    });
    let doubled = names.filter(|name| variables.contains_key(name)).collect();
    let mut text = before;
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    if !variables.is_empty() {
        text.push_str(START);
        text.push('\n');
        for (name, value) in variables {
            text.push_str(&format!("{name}={}\n", quoted(value.expose())));
        }
        text.push_str(END);
        text.push('\n');
    }
    text.push_str(&after);
    Ok(Merged { text: Secret::new(text), doubled })
}

/// As shells and the dotenv libraries agree: bare when harmless, single quotes when possible, else double quotes.
fn quoted(value: &str) -> String {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b':' | b'@' | b'+' | b',' | b'=');
    if !value.is_empty() && value.bytes().all(harmless) {
        return value.to_owned();
    }
    if !value.contains(['\'', '\n', '\r']) {
        return format!("'{value}'");
    }
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '"' | '\\' | '$' | '`' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), Secret::new((*v).to_owned()))).collect()
    }

    #[test]
    fn a_provider_cannot_name_what_programs_act_on() {
        for name in
            ["PATH", "LD_PRELOAD", "ld_preload", "NODE_OPTIONS", "https_proxy", "GIT_SSH_COMMAND", "BASH_ENV", "PURSER_URL", "PYTHONPATH"]
        {
            assert_eq!(check(&variables(&[(name, "x")])), Err(VariableError::Dangerous(name.to_owned())));
        }
        for name in ["", "A B", "A=B", "1A", "Ä", "A\nB"] {
            assert!(matches!(check(&variables(&[(name, "x")])), Err(VariableError::Name(_))), "`{name}` was taken");
        }
        check(&variables(&[("CLOUDFLARE_API_TOKEN", "x"), ("CLOUDFLARE_API_BASE_URL", "http://127.0.0.1:1/client/v4")])).unwrap();
    }

    #[test]
    fn foreign_lines_survive_and_the_block_is_replaced() {
        let first = merge("# mine\nA=1\nT=old", &variables(&[("T", "one")])).unwrap();
        assert_eq!(first.doubled, ["T"]);
        let edited = format!("{}B=2\n", first.text.expose());
        let second = merge(&edited, &variables(&[("T", "two"), ("U", "a b")])).unwrap();
        let text = second.text.expose();
        assert!(text.starts_with("# mine\nA=1\nT=old\n") && text.ends_with("B=2\n"), "{text}");
        assert!(text.contains("\nT=two\nU='a b'\n") && !text.contains("T=one"), "{text}");
        assert_eq!(text.matches(START).count(), 1);
        let third = merge(text, &variables(&[])).unwrap();
        assert_eq!(third.text.expose(), "# mine\nA=1\nT=old\nB=2\n");
    }

    #[test]
    fn a_damaged_block_is_not_guessed_at() {
        assert_eq!(merge(&format!("A=1\n{START}\nT=x\n"), &variables(&[])).unwrap_err(), VariableError::Block);
    }

    #[test]
    fn a_shell_reads_back_what_was_written() {
        for value in ["", "plain", "a b", "it's", "\"$HOME\" `id` \\", "$(id)", "#x"] {
            let out = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quoted(value))).output().unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), value);
        }
    }
}
