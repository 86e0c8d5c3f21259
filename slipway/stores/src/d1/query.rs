//! What is asked of a database, and what it answers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One text of SQL, of one statement or several, with the values of its parameters in order.
#[derive(Clone, Debug, Deserialize)]
pub struct Query {
    pub sql: String,
    #[serde(default)]
    pub params: Option<Vec<Value>>,
}

/// What one statement answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Value>>,
    pub meta: Meta,
}

/// What a statement cost and changed. `rows_read` is what SQLite counted of steps over tables, which is close to the rows that it looked at.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Meta {
    pub served_by: &'static str,
    pub served_by_primary: bool,
    /// Milliseconds.
    pub duration: f64,
    pub changes: u64,
    pub last_row_id: i64,
    pub changed_db: bool,
    pub size_after: u64,
    pub rows_read: u64,
    pub rows_written: u64,
}

impl Answer {
    /// Rows as objects; of columns that share a name, the last counts.
    #[must_use]
    pub fn objects(self) -> Vec<Value> {
        let columns = self.columns;
        let object = |row: Vec<Value>| Value::Object(columns.iter().cloned().zip(row).collect::<Map<_, _>>());
        self.rows.into_iter().map(object).collect()
    }

    /// As the API and the binding tell it.
    #[must_use]
    pub fn shown(self, form: Form) -> Value {
        let meta = json!(self.meta);
        let results = match form {
            Form::Objects => json!(self.objects()),
            Form::Columns => json!({"columns": self.columns, "rows": self.rows}),
            Form::Nothing => json!([]),
        };
        json!({"results": results, "success": true, "meta": meta})
    }
}

/// How rows are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Objects,
    Columns,
    Nothing,
}
