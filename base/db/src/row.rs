//! One row of an answer.

use std::str::FromStr;
use std::sync::Arc;

use purser_values::{Sha256Digest, Timestamp};
use serde::de::DeserializeOwned;

use crate::error::DbError;
use crate::value::Value;

/// The columns of one row, by name. A column that is missing or of another type is [`DbError::Corrupt`], never a default.
#[derive(Clone, Debug)]
pub struct Row {
    pub(crate) columns: Arc<[String]>,
    pub(crate) values: Vec<Value>,
}

/// Types that a column can be read as.
pub trait FromValue: Sized {
    /// The value, or the name of what was expected.
    fn from_value(value: &Value) -> Result<Self, &'static str>;
}

impl Row {
    /// # Errors
    /// When there is no such column or it holds another type.
    pub fn get<T: FromValue>(&self, column: &str) -> Result<T, DbError> {
        let value = self.value(column)?;
        T::from_value(value).map_err(|expected| corrupt(column, value, expected))
    }

    /// Reads a text column as a type that parses from text: ids, names, enums.
    ///
    /// # Errors
    /// When the column is not text or does not parse.
    pub fn parse<T: FromStr>(&self, column: &str) -> Result<T, DbError> {
        let text: String = self.get(column)?;
        text.parse().map_err(|_| DbError::Corrupt(format!("column `{column}` does not parse")))
    }

    /// [`Row::parse`] for a column that may be null.
    ///
    /// # Errors
    /// As [`Row::parse`].
    pub fn parse_opt<T: FromStr>(&self, column: &str) -> Result<Option<T>, DbError> {
        match self.value(column)? {
            Value::Null => Ok(None),
            _ => self.parse(column).map(Some),
        }
    }

    /// Reads a text column that holds JSON.
    ///
    /// # Errors
    /// When the column is not text or not such JSON.
    pub fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, DbError> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|e| DbError::Corrupt(format!("column `{column}` holds other JSON: {e}")))
    }

    fn value(&self, column: &str) -> Result<&Value, DbError> {
        let index = self.columns.iter().position(|c| c == column);
        index.and_then(|i| self.values.get(i)).ok_or_else(|| DbError::Corrupt(format!("there is no column `{column}`")))
    }
}

fn corrupt(column: &str, value: &Value, expected: &str) -> DbError {
    DbError::Corrupt(format!("column `{column}` holds {}, not {expected}", value.kind()))
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        if let Value::Int(i) = value { Ok(*i) } else { Err("an integer") }
    }
}
impl FromValue for u32 {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        i64::from_value(value).and_then(|i| Self::try_from(i).map_err(|_| "a small non-negative integer"))
    }
}
impl FromValue for bool {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        match value {
            Value::Int(0) => Ok(false),
            Value::Int(1) => Ok(true),
            _ => Err("0 or 1"),
        }
    }
}
impl FromValue for String {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        if let Value::Text(t) = value { Ok(t.clone()) } else { Err("text") }
    }
}
impl FromValue for Vec<u8> {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        if let Value::Blob(b) = value { Ok(b.clone()) } else { Err("bytes") }
    }
}
impl FromValue for Timestamp {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        i64::from_value(value).map(Self::from_micros)
    }
}
impl FromValue for Sha256Digest {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        String::from_value(value)?.parse().map_err(|_| "a SHA-256 digest")
    }
}
impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Result<Self, &'static str> {
        if *value == Value::Null { Ok(None) } else { T::from_value(value).map(Some) }
    }
}
