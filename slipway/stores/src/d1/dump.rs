//! A database as SQL that makes it again, as Cloudflare's exports have it.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::error::StoreError;

/// What is left out, and which tables are taken.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub no_schema: bool,
    pub no_data: bool,
    /// All of them when there are none.
    pub tables: Vec<String>,
}

/// Hands every line to `out`, in one view of the database.
///
/// # Errors
/// When the database cannot be read, has virtual tables, or `out` fails.
pub fn dump(connection: &Connection, options: &Options, mut out: impl FnMut(String) -> Result<(), StoreError>) -> Result<(), StoreError> {
    connection.execute_batch("begin").map_err(StoreError::internal)?;
    let dumped = lines(connection, options, &mut out);
    connection.execute_batch("rollback").map_err(StoreError::internal)?;
    dumped
}

fn lines(connection: &Connection, options: &Options, out: &mut dyn FnMut(String) -> Result<(), StoreError>) -> Result<(), StoreError> {
    out("PRAGMA defer_foreign_keys=TRUE;".to_owned())?;
    let wanted = |name: &str| options.tables.is_empty() || options.tables.iter().any(|table| table == name);
    let tables = "select name, sql from sqlite_schema where type = 'table' and sql not null order by tbl_name = 'sqlite_sequence', rowid";
    for (name, sql) in pairs(connection, tables)? {
        if !wanted(&name) {
            continue;
        }
        match name.as_str() {
            "sqlite_sequence" if !options.no_schema => out("DELETE FROM sqlite_sequence;".to_owned())?,
            "sqlite_sequence" => {}
            _ if name.starts_with("sqlite_") => continue,
            _ if sql.to_ascii_uppercase().starts_with("CREATE VIRTUAL TABLE") => {
                return Err(StoreError::Sql("cannot export databases with virtual tables (fts5)".to_owned()));
            }
            _ if !options.no_schema => out(made_once(&sql))?,
            _ => {}
        }
        if !options.no_data {
            rows(connection, &name, out)?;
        }
    }
    if !options.no_schema {
        let rest =
            "select name, sql from sqlite_schema where sql not null and type in ('index', 'trigger', 'view') order by type collate nocase";
        for (name, sql) in pairs(connection, rest)? {
            if wanted(&name) {
                out(format!("{sql};"))?;
            }
        }
    }
    Ok(())
}

fn rows(connection: &Connection, table: &str, out: &mut dyn FnMut(String) -> Result<(), StoreError>) -> Result<(), StoreError> {
    let names: Vec<String> =
        pairs(connection, &format!("select name, '' from pragma_table_info({})", text(table)))?.into_iter().map(|p| p.0).collect();
    let columns = names.iter().map(|name| identifier(name)).collect::<Vec<_>>().join(",");
    let mut statement = connection.prepare(&format!("select {columns} from {}", identifier(table))).map_err(StoreError::internal)?;
    let mut rows = statement.query([]).map_err(StoreError::internal)?;
    while let Some(row) = rows.next().map_err(StoreError::internal)? {
        let values = (0..names.len()).map(|i| row.get_ref(i).map(literal)).collect::<Result<Vec<_>, _>>().map_err(StoreError::internal)?;
        out(format!("INSERT INTO {} ({columns}) VALUES({});", identifier(table), values.join(",")))?;
    }
    Ok(())
}

fn pairs(connection: &Connection, sql: &str) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement = connection.prepare(sql).map_err(StoreError::internal)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).map_err(StoreError::internal)?;
    rows.collect::<Result<_, _>>().map_err(StoreError::internal)
}

/// Tables whose names are quoted may be there already, as in the exports that others know.
fn made_once(sql: &str) -> String {
    match sql.strip_prefix("CREATE TABLE ") {
        Some(rest) if rest.starts_with(['"', '\'']) => format!("CREATE TABLE IF NOT EXISTS {rest};"),
        _ => format!("{sql};"),
    }
}

fn literal(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(whole) => whole.to_string(),
        ValueRef::Real(real) if real.is_nan() => "NULL".to_owned(),
        ValueRef::Real(real) if real.is_infinite() => if real > 0.0 { "9e999" } else { "-9e999" }.to_owned(),
        ValueRef::Real(real) => format!("{real:?}"),
        ValueRef::Text(bytes) => text(&String::from_utf8_lossy(bytes)),
        ValueRef::Blob(bytes) => format!("X'{}'", hex::encode(bytes)),
    }
}

/// A line break would end the statement for readers that go by lines, and a zero byte for SQLite itself.
fn text(text: &str) -> String {
    if text.contains('\0') {
        return format!("CAST(X'{}' AS TEXT)", hex::encode(text));
    }
    let mut quoted = format!("'{}'", text.replace('\'', "''"));
    for (character, code) in [('\r', 13), ('\n', 10)] {
        if text.contains(character) {
            let mut mark = format!("\\{code}");
            while text.contains(&mark) {
                mark.push('\\');
            }
            quoted = format!("replace({},'{mark}',char({code}))", quoted.replace(character, &mark));
        }
    }
    quoted
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
