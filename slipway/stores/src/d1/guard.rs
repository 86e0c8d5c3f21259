//! What a customer's SQL may say: nothing that reaches another file, the transaction around it, or the connection's own settings.

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, Result};

use super::fulltext::FullText;
use super::functions;
use crate::limits;

/// Settings that tell of the database or change how the customer's own statements read.
const PRAGMAS: [&str; 19] = [
    "case_sensitive_like",
    "defer_foreign_keys",
    "foreign_key_check",
    "foreign_key_list",
    "foreign_keys",
    "function_list",
    "ignore_check_constraints",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "legacy_alter_table",
    "optimize",
    "quick_check",
    "recursive_triggers",
    "reverse_unordered_selects",
    "table_info",
    "table_list",
    "table_xinfo",
];
/// Settings that may be read and not made. Full-text tables read `data_version` themselves.
const READ_PRAGMAS: [&str; 3] = ["data_version", "page_count", "page_size"];
/// Modules of virtual tables that a customer may make.
const MODULES: [&str; 2] = ["fts5", "fts5vocab"];
/// Tables that show the inside of the file or of the process.
const HIDDEN: [&str; 7] = ["dbstat", "sqlite_dbpage", "sqlite_dbptr", "sqlite_stmt", "bytecode", "tables_used", "fts3tokenize"];
const FUNCTIONS: [&str; 4] = ["load_extension", "fts3_tokenizer", "sqlite_compileoption_get", "sqlite_compileoption_used"];

/// Prepares a connection for statements of strangers. What each has to do with full-text tables is to be asked before it runs.
///
/// # Errors
/// When a setting is not taken.
pub fn arm(connection: &Connection, sql_bytes: usize) -> Result<FullText> {
    let fulltext = FullText::of(connection)?;
    let seen = fulltext.clone();
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, limits::D1_VALUE_BYTES),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, i32::try_from(sql_bytes).unwrap_or(i32::MAX)),
        (Limit::SQLITE_LIMIT_COLUMN, limits::D1_COLUMNS),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (Limit::SQLITE_LIMIT_VDBE_OP, 250_000),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 32),
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 50),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, limits::D1_PARAMETERS),
        (Limit::SQLITE_LIMIT_TRIGGER_DEPTH, 10),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        seen.see(&context.action);
        if may(&context) { Authorization::Allow } else { Authorization::Deny }
    }))?;
    Ok(fulltext)
}

/// Gives the connection back to us.
///
/// # Errors
/// When the setting is not taken.
pub fn disarm(connection: &Connection) -> Result<()> {
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, limits::D1_VALUE_BYTES)?;
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)
}

/// What holds for a connection as long as it lives.
///
/// # Errors
/// When a setting is not taken.
pub fn settle(connection: &Connection) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    functions::add(connection)
}

fn may(context: &AuthContext<'_>) -> bool {
    let one_of = |names: &[&str], name: &str| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    let temporary = context.database_name.is_some_and(|name| name.eq_ignore_ascii_case("temp"));
    match context.action {
        AuthAction::Attach { .. }
        | AuthAction::Detach { .. }
        | AuthAction::Transaction { .. }
        | AuthAction::Savepoint { .. }
        | AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. }
        | AuthAction::Unknown { .. } => false,
        // no size counts what is temporary, and it outlives the call; to rename a table SQLite itself looks there
        AuthAction::Insert { .. } | AuthAction::Delete { .. } | AuthAction::CreateVtable { .. } if temporary => false,
        AuthAction::Pragma { pragma_name, pragma_value } => {
            one_of(&PRAGMAS, pragma_name) || (pragma_value.is_none() && one_of(&READ_PRAGMAS, pragma_name))
        }
        AuthAction::CreateVtable { module_name, .. } => one_of(&MODULES, module_name),
        AuthAction::Function { function_name } => !one_of(&FUNCTIONS, function_name),
        AuthAction::Read { table_name, .. } | AuthAction::Update { table_name, .. } => {
            let pragma = table_name.get(..7).filter(|head| head.eq_ignore_ascii_case("pragma_")).map(|_| &table_name[7..]);
            pragma.is_none_or(|name| one_of(&PRAGMAS, name)) && !one_of(&HIDDEN, table_name)
        }
        _ => true,
    }
}
