//! Values that go into a statement.

use purser_values::id::Id;
use purser_values::name::{
    ConnectionName, DomainName, Email, EnvironmentName, HostName, ProjectName, ProviderName, ResourceName, ServiceName, ServiceRef,
};
use purser_values::{Currency, Month, Sha256Digest, Timestamp};

/// One bound value or one column: the four types that both engines share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// Turns a domain value into a bound value.
pub trait ToValue {
    fn to_value(&self) -> Value;
}

impl ToValue for Value {
    fn to_value(&self) -> Value {
        self.clone()
    }
}
impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value {
        (**self).to_value()
    }
}
impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}
impl<K: purser_values::id::Kind> ToValue for Id<K> {
    fn to_value(&self) -> Value {
        Value::Text(self.as_str().to_owned())
    }
}
impl ToValue for str {
    fn to_value(&self) -> Value {
        Value::Text(self.to_owned())
    }
}
impl ToValue for bool {
    fn to_value(&self) -> Value {
        Value::Int(i64::from(*self))
    }
}
impl ToValue for Timestamp {
    fn to_value(&self) -> Value {
        Value::Int(self.as_micros())
    }
}
impl ToValue for [u8] {
    fn to_value(&self) -> Value {
        Value::Blob(self.to_vec())
    }
}
impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value {
        Value::Blob(self.clone())
    }
}
impl ToValue for serde_json::Value {
    fn to_value(&self) -> Value {
        Value::Text(self.to_string())
    }
}

macro_rules! as_int {
    ($($t:ty),*) => { $(impl ToValue for $t {
        fn to_value(&self) -> Value { Value::Int(i64::from(*self)) }
    })* };
}
macro_rules! as_str {
    ($($t:ty),*) => { $(impl ToValue for $t {
        fn to_value(&self) -> Value { Value::Text(self.as_str().to_owned()) }
    })* };
}
macro_rules! as_text {
    ($($t:ty),*) => { $(impl ToValue for $t {
        fn to_value(&self) -> Value { Value::Text(self.to_string()) }
    })* };
}
as_int!(i64, i32, u32, u16, u8);
as_str!(String, Email, HostName, DomainName, ProjectName, EnvironmentName, ConnectionName, ProviderName, ServiceName, ResourceName);
as_text!(Sha256Digest, ServiceRef, Month);

impl ToValue for Currency {
    fn to_value(&self) -> Value {
        Value::Text(self.code().to_owned())
    }
}

/// The bound values of one statement: `params![id, amount, now]`.
#[macro_export]
macro_rules! params {
    () => { &[] as &[$crate::Value] };
    ($($value:expr),+ $(,)?) => { &[$($crate::ToValue::to_value(&$value)),+] as &[$crate::Value] };
}

/// The same as one row of several: `values![id, amount, now]`.
#[macro_export]
macro_rules! values {
    ($($value:expr),+ $(,)?) => { vec![$($crate::ToValue::to_value(&$value)),+] };
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(i) => ValueRef::Integer(*i),
            Self::Text(t) => ValueRef::Text(t.as_bytes()),
            Self::Blob(b) => ValueRef::Blob(b),
        }))
    }
}

impl tokio_postgres::types::ToSql for Value {
    fn to_sql(
        &self,
        ty: &tokio_postgres::types::Type,
        out: &mut tokio_postgres::types::private::BytesMut,
    ) -> Result<tokio_postgres::types::IsNull, Box<dyn std::error::Error + Sync + Send>> {
        use tokio_postgres::types::{IsNull, Type};
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(i) if *ty == Type::INT4 => i32::try_from(*i)?.to_sql(ty, out),
            Self::Int(i) if *ty == Type::BOOL => (*i != 0).to_sql(ty, out),
            Self::Int(i) if *ty == Type::INT8 => i.to_sql(ty, out),
            Self::Text(t) => t.to_sql(ty, out),
            Self::Blob(b) if *ty == Type::BYTEA => b.to_sql(ty, out),
            other => Err(format!("a statement expects {ty} and was given {}", other.kind()).into()),
        }
    }

    fn accepts(_: &tokio_postgres::types::Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

impl Value {
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) => "an integer",
            Self::Text(_) => "text",
            Self::Blob(_) => "bytes",
        }
    }
}
