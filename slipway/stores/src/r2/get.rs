//! Reading an object, whole or a part of it.

use std::ops::Range;

use futures_util::{StreamExt as _, TryStreamExt as _};
use purser_db::{Tx, params};
use purser_values::id::CloudAccountId;

use super::condition::OnlyIf;
use super::{Object, bucket, checked_name, object};
use crate::body::{Chunks, Outgoing};
use crate::error::{StoreError, Thing};
use crate::objects::Key;
use crate::stores::Stores;

/// Which part is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub offset: Option<i64>,
    pub length: Option<i64>,
    /// The last so many bytes.
    pub suffix: Option<i64>,
}

/// An object with the part of its bytes that was asked for.
pub struct Got {
    pub object: Object,
    pub range: Range<u64>,
    pub value: Outgoing,
}

/// Why an object is not sent though it is there.
pub enum NotSent {
    /// The condition does not hold; clients are told of what object.
    Precondition(Object),
    Refused(StoreError),
}

impl<E: Into<StoreError>> From<E> for NotSent {
    fn from(e: E) -> Self {
        Self::Refused(e.into())
    }
}

impl Stores {
    /// # Errors
    /// When the account has no such bucket, or the bucket no such object.
    pub async fn r2_head(&self, account: &CloudAccountId, bucket: &str, name: &str) -> Result<Object, StoreError> {
        checked_name(name)?;
        let (account, bucket, name) = (account.clone(), bucket.to_owned(), name.to_owned());
        self.look(move |tx| {
            let bucket = bucket::find(tx, &account, &bucket)?.id;
            find(tx, &bucket, &name)?.ok_or(StoreError::NotFound(Thing::Object))
        })
        .await
    }

    /// # Errors
    /// As [`Stores::r2_head`]; and when the condition does not hold, or there is no such part.
    pub async fn r2_get(
        &self,
        account: &CloudAccountId,
        bucket: &str,
        name: &str,
        only_if: &OnlyIf,
        part: Option<Part>,
    ) -> Result<Got, NotSent> {
        let object = self.r2_head(account, bucket, name).await?;
        if only_if.check(Some(&object)).is_err() {
            return Err(NotSent::Precondition(object));
        }
        let range = part.map_or(Ok(0..object.size), |part| part.of(object.size))?;
        let value = Outgoing { chunks: self.r2_chunks(&object, &range)?, length: range.end - range.start };
        Ok(Got { object, range, value })
    }

    /// The bytes of a range, one of the objects behind it after the other.
    fn r2_chunks(&self, object: &Object, range: &Range<u64>) -> Result<Chunks, StoreError> {
        let (mut wanted, mut start) = (Vec::new(), 0_u64);
        for (key, size) in &object.parts {
            let end = start + size;
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                wanted.push((key.parse::<Key>().map_err(StoreError::internal)?, from - start..to - start));
            }
            start = end;
        }
        let objects = self.inner().objects.clone();
        let chunks = futures_util::stream::iter(wanted).then(move |(key, range)| {
            let objects = objects.clone();
            async move {
                let missing = || std::io::Error::new(std::io::ErrorKind::NotFound, "the bytes of an object are missing");
                objects.get(&key, Some(range)).await?.ok_or_else(missing)
            }
        });
        Ok(chunks.try_flatten().boxed())
    }
}

impl Part {
    /// The bytes of an object of this size.
    ///
    /// # Errors
    /// [`StoreError::Range`] when there are none.
    pub fn of(self, size: u64) -> Result<Range<u64>, StoreError> {
        let all = i64::try_from(size).map_err(StoreError::internal)?;
        let (offset, length) = match self.suffix {
            Some(suffix) if suffix <= 0 => return Err(StoreError::Range),
            Some(suffix) => (all - suffix.min(all), suffix.min(all)),
            None => {
                let offset = self.offset.unwrap_or(0);
                (offset, self.length.unwrap_or(all.saturating_sub(offset)))
            }
        };
        if offset < 0 || offset > all || length <= 0 {
            return Err(StoreError::Range);
        }
        let bytes = |n: i64| u64::try_from(n).map_err(|_| StoreError::Range);
        Ok(bytes(offset)?..bytes(offset.saturating_add(length).min(all))?)
    }

    /// The one range of a `Range` header (RFC 9110, 14.1.2). Anything else is as if it were not there.
    #[must_use]
    pub fn of_header(text: &str) -> Option<Self> {
        let (from, to) = text.strip_prefix("bytes=")?.split_once('-')?;
        let number = |text: &str| text.trim().parse::<i64>().ok().filter(|n| *n >= 0);
        match (from.trim(), to.trim()) {
            ("", to) => Some(Self { suffix: Some(number(to)?), ..Self::default() }),
            (from, "") => Some(Self { offset: Some(number(from)?), ..Self::default() }),
            (from, to) => {
                let (from, to) = (number(from)?, number(to)?);
                (from <= to).then(|| Self { offset: Some(from), length: Some((to - from).saturating_add(1)), suffix: None })
            }
        }
    }
}

/// The object of this name in a bucket.
pub(super) fn find(tx: &mut Tx<'_>, bucket: &str, name: &str) -> Result<Option<Object>, StoreError> {
    let row = tx.query_opt("select * from r2_object where bucket = $1 and name = $2", params![bucket, name.as_bytes()])?;
    Ok(row.as_ref().map(object).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_cut_to_the_object_or_refused() {
        for (text, expected) in [
            ("bytes=0-3", Some(0..4)),
            ("bytes=8-", Some(8..10)),
            ("bytes=-3", Some(7..10)),
            ("bytes=-30", Some(0..10)),
            ("bytes=5-99", Some(5..10)),
            ("bytes=0-9223372036854775807", Some(0..10)),
            ("bytes=9223372036854775807-9223372036854775807", None),
            ("bytes=10-", None),
            ("bytes=-0", None),
        ] {
            assert_eq!(Part::of_header(text).unwrap().of(10).ok(), expected, "{text}");
        }
        for none in ["bytes=3-1", "items=0-1", "bytes=a-b", "bytes=0-1,3-4", "bytes=--5"] {
            assert_eq!(Part::of_header(none), None, "{none}");
        }
    }
}
