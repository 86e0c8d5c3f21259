//! Every limit of the stores, by name. Where Cloudflare publishes one, it is that one.

/// What an account keeps at most in all its stores together, in bytes.
pub const ACCOUNT_BYTES: i64 = 10 * 1024 * 1024 * 1024;
/// Bytes of a value that lie in its row; more lie behind the trait for objects.
pub const INLINE_BYTES: usize = 32 * 1024;

/// Namespaces of an account.
pub const KV_NAMESPACES: i64 = 1_000;
/// Longest title of a namespace, in bytes.
pub const KV_TITLE_BYTES: usize = 512;
/// Longest key, in bytes.
pub const KV_KEY_BYTES: usize = 512;
/// Largest value, in bytes.
pub const KV_VALUE_BYTES: u64 = 25 * 1024 * 1024;
/// Largest metadata, as JSON, in bytes.
pub const KV_METADATA_BYTES: usize = 1024;
/// Shortest life of an entry that expires, in seconds.
pub const KV_TTL_S: i64 = 60;
/// Keys of one page.
pub const KV_LIST: usize = 1_000;
/// Keys of one bulk read, and the bytes of what it answers.
pub const KV_BULK_GET: usize = 100;
pub const KV_BULK_GET_BYTES: u64 = 25 * 1024 * 1024;
/// Pairs of one bulk write.
pub const KV_BULK_PUT: usize = 10_000;
/// What each entry counts as at least: it takes a row.
pub const KV_ENTRY_LEAST_BYTES: i64 = 64;

/// Buckets of an account.
pub const R2_BUCKETS: i64 = 1_000;
/// Longest key of an object, in bytes.
pub const R2_KEY_BYTES: usize = 1_024;
/// Largest object that is written at once, in bytes: 5 GiB less 5 MiB; and in parts.
pub const R2_OBJECT_BYTES: u64 = 5 * 1024 * 1024 * 1024 - 5 * 1024 * 1024;
/// Largest metadata of a customer's own, in bytes.
pub const R2_METADATA_BYTES: usize = 8_192;
/// Smallest part of an upload but the last, in bytes; and the highest number of one.
pub const R2_PART_LEAST_BYTES: u64 = 5 * 1024 * 1024;
pub const R2_PARTS: i64 = 10_000;
/// Objects of one page, and of one call to delete.
pub const R2_LIST: usize = 1_000;
/// Uploads in parts of a bucket that are open at a time.
pub const R2_UPLOADS: i64 = 1_000;
/// Time after which an upload in parts that nobody completed is removed, in seconds.
pub const R2_UPLOAD_LIFE_S: i64 = 7 * 24 * 3600;
/// Largest JSON that a binding puts before the bytes, in bytes.
pub const R2_ASK_BYTES: usize = 2 * 1024 * 1024;

/// Time after which an upload that nobody finished is removed, in seconds.
pub const UPLOAD_LIFE_S: i64 = 24 * 3600;
/// Time that bytes stay when nothing refers to them any more, in seconds: whoever reads them now reads to the end.
pub const DOOMED_S: i64 = 600;
/// Rows or objects that one round of a sweep removes.
pub const SWEEP_BATCH: i64 = 500;
