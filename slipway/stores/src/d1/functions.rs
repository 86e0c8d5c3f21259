//! Functions of SQL as SQLite has them, in forms whose time grows with what they read and no faster.
//!
//! A step of SQLite's machine cannot be interrupted, and SQLite's own forms of these compare each place of one text with all of the other:
//! at [`limits::D1_VALUE_BYTES`] that is hours in one step. What they answer is SQLite's, byte for byte. Where that has no such form, texts
//! that are too long together are refused.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use memchr::memmem;
use rusqlite::functions::{Context, FunctionFlags, SubType};
use rusqlite::limits::Limit;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Error, Result, ToSql, ffi};

use crate::limits;

/// Below this product of lengths, the plain way is as good as any.
const SHORT: usize = 1 << 16;
/// How JSON is marked among texts (sqlite.org/c3ref/result_subtype.html; the letter is SQLite's own choice).
const JSON: SubType = Some(74);

/// A connection on which these functions are SQLite's own, opened when somebody needs it.
#[derive(Default)]
struct Own(Mutex<Option<Connection>>);

/// What is answered: text here may be no UTF-8.
enum Told {
    Null,
    Whole(i64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Left,
    Right,
    Both,
}

/// Puts these in the place of SQLite's.
///
/// # Errors
/// When they are not taken.
pub fn add(connection: &Connection) -> Result<()> {
    add_with(connection, SHORT)
}

fn add_with(connection: &Connection, short: usize) -> Result<()> {
    let own = Arc::new(Own::default());
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_INNOCUOUS;
    let o = own.clone();
    connection.create_scalar_function("instr", 2, flags, move |given| {
        let blobs = matches!((given.get_raw(0), given.get_raw(1)), (ValueRef::Blob(_), ValueRef::Blob(_)));
        let (Some(text), Some(sought)) = (o.bytes(given, 0)?, o.bytes(given, 1)?) else { return Ok(Told::Null) };
        Ok(Told::Whole(place(&text, &sought, blobs)))
    })?;
    let o = own.clone();
    connection.create_scalar_function("replace", 3, flags, move |given| {
        let (Some(text), Some(old)) = (o.bytes(given, 0)?, o.bytes(given, 1)?) else { return Ok(Told::Null) };
        // also without a third, as SQLite does
        if old.first().is_none_or(|first| *first == 0) {
            return Ok(Told::Text(text.into_owned()));
        }
        let Some(new) = o.bytes(given, 2)? else { return Ok(Told::Null) };
        replaced(&text, &old, &new).map(Told::Text)
    })?;
    for (name, ends) in [("ltrim", Ends::Left), ("rtrim", Ends::Right), ("trim", Ends::Both)] {
        let o = own.clone();
        connection.create_scalar_function(name, 2, flags, move |given| {
            let (Some(text), Some(set)) = (o.bytes(given, 0)?, o.bytes(given, 1)?) else { return Ok(Told::Null) };
            Ok(Told::Text(trimmed(&text, &set, ends, short)?.to_vec()))
        })?;
    }
    let o = own.clone();
    connection.create_scalar_function("unhex", 2, flags, move |given| {
        let (Some(text), Some(between)) = (o.bytes(given, 0)?, o.bytes(given, 1)?) else { return Ok(Told::Null) };
        Ok(unhexed(&text, &between).map_or(Told::Null, Told::Blob))
    })?;
    for (name, call) in [("json_patch", "select json_patch(?1, ?2)"), ("jsonb_patch", "select jsonb_patch(?1, ?2)")] {
        let o = own.clone();
        connection.create_scalar_function(name, 2, flags | FunctionFlags::SQLITE_RESULT_SUBTYPE, move |given| {
            if product(given.get_raw(0), given.get_raw(1)) > limits::D1_STEP_PRODUCT {
                return Err(too_long());
            }
            let told = o.ask(call, &[given.get_raw(0), given.get_raw(1)])?;
            let mark = if matches!(told, Value::Text(_)) { JSON } else { None };
            Ok((told, mark))
        })?;
    }
    Ok(())
}

/// What `instr` tells: which character is the first of those sought, from one on; of blobs which byte; or zero.
fn place(text: &[u8], sought: &[u8], blobs: bool) -> i64 {
    let continues = |byte: u8| byte & 0xc0 == 0x80;
    let Some(first) = sought.first() else { return 1 };
    // in text nothing but its very first byte is looked at unless a character begins there
    let at = if !blobs && continues(*first) { text.starts_with(sought).then_some(0) } else { memmem::find(text, sought) };
    let Some(at) = at else { return 0 };
    let before = if blobs { at } else { text[1..=at].iter().filter(|byte| !continues(**byte)).count() };
    i64::try_from(before).map_or(i64::MAX, |before| before.saturating_add(1))
}

fn replaced(text: &[u8], old: &[u8], new: &[u8]) -> Result<Vec<u8>> {
    let most = usize::try_from(limits::D1_VALUE_BYTES).unwrap_or(usize::MAX);
    let (mut out, mut from) = (Vec::with_capacity(text.len()), 0);
    for at in memmem::find_iter(text, old) {
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(new);
        from = at + old.len();
        if out.len() > most {
            return Err(Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None));
        }
    }
    out.extend_from_slice(&text[from..]);
    Ok(out)
}

/// The text without the characters of a set at its ends. What SQLite takes for a character is any run that a first byte begins, so that one
/// may be a part of another; the first of the set that fits is taken. Where all are characters of UTF-8, at most one fits.
fn trimmed<'a>(text: &'a [u8], set: &[u8], ends: Ends, short: usize) -> Result<&'a [u8]> {
    let set = ended(set);
    if set.len().saturating_mul(text.len()) <= short {
        let all = pieces(set);
        let front = |rest: &[u8]| all.iter().find(|piece| rest.starts_with(piece)).map_or(0, |piece| piece.len());
        let back = |rest: &[u8]| all.iter().find(|piece| rest.ends_with(piece)).map_or(0, |piece| piece.len());
        return Ok(cut(text, ends, front, back));
    }
    if let Ok(set) = std::str::from_utf8(set) {
        let mut all: Vec<char> = set.chars().collect();
        all.sort_unstable();
        all.dedup();
        let known = |part: Option<&[u8]>| {
            let one = part.and_then(|part| std::str::from_utf8(part).ok()).and_then(|part| part.chars().next());
            one.filter(|one| all.binary_search(one).is_ok()).map_or(0, char::len_utf8)
        };
        let front = |rest: &[u8]| known(rest.first().and_then(|first| rest.get(..length(*first))));
        let back = |rest: &[u8]| {
            let run = rest.iter().rev().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
            known(rest.len().checked_sub(run + 1).and_then(|at| rest.get(at..)).filter(|part| length(part[0]) == part.len()))
        };
        return Ok(cut(text, ends, front, back));
    }
    if (set.len() as u64).saturating_mul(text.len() as u64) > limits::D1_STEP_PRODUCT {
        return Err(too_long());
    }
    trimmed(text, set, ends, usize::MAX)
}

fn cut(text: &[u8], ends: Ends, front: impl Fn(&[u8]) -> usize, back: impl Fn(&[u8]) -> usize) -> &[u8] {
    let mut rest = text;
    while ends != Ends::Right && !rest.is_empty() {
        match front(rest) {
            0 => break,
            len => rest = &rest[len..],
        }
    }
    while ends != Ends::Left && !rest.is_empty() {
        match back(rest) {
            0 => break,
            len => rest = &rest[..rest.len() - len],
        }
    }
    rest
}

/// Bytes of the character of UTF-8 that this byte begins.
const fn length(first: u8) -> usize {
    match first {
        0..=0xbf => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
    }
}

/// What SQLite takes for the characters of a text.
fn pieces(text: &[u8]) -> Vec<&[u8]> {
    let (mut all, mut rest) = (Vec::new(), text);
    while let Some(first) = rest.first() {
        let run = if *first >= 0xc0 { rest[1..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count() } else { 0 };
        let (piece, more) = rest.split_at(run + 1);
        all.push(piece);
        rest = more;
    }
    all
}

/// The bytes that pairs of digits are, where nothing but certain characters is between the pairs.
fn unhexed(text: &[u8], between: &[u8]) -> Option<Vec<u8>> {
    let (mut known, mut rest) = (Vec::new(), between);
    while !rest.is_empty() {
        known.push(code(&mut rest));
    }
    known.sort_unstable();
    known.dedup();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (mut out, mut rest) = (Vec::with_capacity(text.len() / 2), ended(text));
    while let Some(first) = rest.first() {
        let Some(high) = digit(*first) else {
            if known.binary_search(&code(&mut rest)).is_err() {
                return None;
            }
            continue;
        };
        out.push(high * 16 + digit(*rest.get(1)?)?);
        rest = &rest[2..];
    }
    Some(out)
}

/// Takes a character off, as SQLite reads it (`sqlite3Utf8Read`), of what is UTF-8 and what is not.
fn code(rest: &mut &[u8]) -> u32 {
    let Some((first, mut more)) = rest.split_first() else { return 0 };
    let mut code = u32::from(*first);
    if *first >= 0xc0 {
        code &= match first {
            0xc0..=0xdf => 0x1f,
            0xe0..=0xef => 0x0f,
            0xf0..=0xf7 => 0x07,
            0xf8..=0xfb => 0x03,
            0xfc..=0xfd => 0x01,
            _ => 0,
        };
        while let Some((next, after)) = more.split_first().filter(|(next, _)| **next & 0xc0 == 0x80) {
            code = (code << 6).wrapping_add(u32::from(next & 0x3f));
            more = after;
        }
        if code < 0x80 || code & 0xffff_f800 == 0xd800 || code & 0xffff_fffe == 0xfffe {
            code = 0xfffd;
        }
    }
    *rest = more;
    code
}

/// Up to a zero, which ends a text for some of SQLite's functions.
fn ended(text: &[u8]) -> &[u8] {
    memchr::memchr(0, text).map_or(text, |at| &text[..at])
}

fn product(one: ValueRef<'_>, other: ValueRef<'_>) -> u64 {
    let length = |value| if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = value { bytes.len() as u64 } else { 0 };
    length(one).saturating_mul(length(other))
}

fn too_long() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some("the values are too long together for this function".to_owned()))
}

impl Own {
    /// A value as text, as SQLite would have it; nothing for null.
    fn bytes<'a>(&self, given: &'a Context<'_>, index: usize) -> Result<Option<Cow<'a, [u8]>>> {
        Ok(match given.get_raw(index) {
            ValueRef::Null => None,
            ValueRef::Integer(whole) => Some(Cow::Owned(whole.to_string().into_bytes())),
            real @ ValueRef::Real(_) => match self.ask("select cast(?1 as text)", &[real])? {
                Value::Text(text) => Some(Cow::Owned(text.into_bytes())),
                _ => None,
            },
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(Cow::Borrowed(bytes)),
        })
    }

    fn ask(&self, sql: &str, given: &[ValueRef<'_>]) -> Result<Value> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = match held.take() {
            Some(connection) => connection,
            None => {
                let connection = Connection::open_in_memory()?;
                connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, limits::D1_VALUE_BYTES)?;
                connection
            }
        };
        let connection = held.insert(connection);
        let given = given.iter().map(|value| ToSqlOutput::Borrowed(*value));
        connection.prepare_cached(sql)?.query_row(rusqlite::params_from_iter(given), |row| row.get(0))
    }
}

impl ToSql for Told {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Whole(whole) => ValueRef::Integer(*whole),
            Self::Text(text) => ValueRef::Text(text),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes that make characters of several lengths, halves of such, digits, and the end of a text.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let parts: [&[u8]; 12] =
            [b"a", b"b", b"ab", b" ", b"0", b"F", "é".as_bytes(), "€".as_bytes(), "😀".as_bytes(), b"\xc3", b"\xa9", b"\0"];
        prop::collection::vec(prop::sample::select(parts.to_vec()), 0..9).prop_map(|parts| parts.concat())
    }

    fn value() -> impl Strategy<Value = (u8, Vec<u8>, i64)> {
        (prop_oneof![Just(0_u8), Just(1), Just(2), 3..12_u8], bytes(), -20_i64..300)
    }

    fn given((kind, bytes, number): &(u8, Vec<u8>, i64)) -> ToSqlOutput<'_> {
        ToSqlOutput::Borrowed(match kind {
            0 => ValueRef::Null,
            1 => ValueRef::Integer(*number),
            #[allow(clippy::cast_precision_loss)]
            2 => ValueRef::Real(*number as f64 / 8.0),
            3..=5 => ValueRef::Blob(bytes),
            _ => ValueRef::Text(bytes),
        })
    }

    proptest! {
        #[test]
        fn every_answer_is_sqlites_own(one in value(), other in value(), third in value()) {
            let (theirs, ours, long) = (open(), open(), open());
            add(&ours).unwrap();
            add_with(&long, 0).unwrap();
            for call in ["instr(?1, ?2)", "replace(?1, ?2, ?3)", "trim(?1, ?2)", "ltrim(?1, ?2)", "rtrim(?1, ?2)", "unhex(?1, ?2)"] {
                let sql = format!("select typeof({call}) || ' ' || coalesce(hex({call}), '-'), ?1, ?2, ?3");
                let ask = |connection: &Connection| {
                    let values = rusqlite::params_from_iter([given(&one), given(&other), given(&third)]);
                    connection.query_row(&sql, values, |row| row.get::<_, String>(0)).map_err(|e| e.to_string())
                };
                prop_assert_eq!(ask(&theirs), ask(&ours), "{}", call);
                prop_assert_eq!(ask(&theirs), ask(&long), "{}, as of long ones", call);
            }
        }
    }

    #[test]
    fn patches_of_json_stay_json_and_those_that_are_too_long_together_are_refused() {
        let (theirs, ours) = (open(), open());
        add(&ours).unwrap();
        for sql in [
            r#"select json_array(json_patch('{"a":1,"b":{"c":2}}', '{"b":{"c":null,"d":[3]}}'))"#,
            r"select json_patch('{a:1}', null)",
            r"select hex(jsonb_patch('{a:1}', '{b:2}'))",
            r"select json_patch('{', '{}')",
        ] {
            let ask = |connection: &Connection| {
                connection.query_row(sql, [], |row| row.get::<_, Option<String>>(0)).map_err(|e| e.to_string().to_lowercase())
            };
            let (theirs, ours) = (ask(&theirs), ask(&ours));
            assert_eq!(theirs.is_ok(), ours.is_ok(), "{sql}: {ours:?}");
            if theirs.is_ok() {
                assert_eq!(theirs, ours, "{sql}");
            }
        }
        let long = "select json_patch(printf('[%.*c]', 50000, ' '), printf('[%.*c]', 50000, ' '))";
        assert!(theirs.query_row(long, [], |_| Ok(())).is_ok());
        let refused = ours.query_row(long, [], |_| Ok(())).unwrap_err();
        assert!(refused.to_string().contains("too long together"), "{refused}");
    }

    fn open() -> Connection {
        Connection::open_in_memory().unwrap()
    }
}
