//! Every limit of the stores, by name. Where Cloudflare publishes one, it is that one.

use std::time::Duration;

/// What an account of which nobody says more keeps at most in all its stores together, in bytes.
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

/// Databases of an account.
pub const D1_DATABASES: i64 = 200;
/// Longest name of a database, in bytes.
pub const D1_NAME_BYTES: usize = 256;
/// Largest value that a statement on a full-text table works on, in bytes, and columns of such a table: what FTS5 compares with each other in one
/// step grows with the square of both.
pub const D1_FTS_VALUE_BYTES: i32 = 64 * 1024;
pub const D1_FTS_COLUMNS: i64 = 8;
/// Largest database, in bytes.
pub const D1_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// Largest value or row, in bytes; columns of a table; parameters of a statement.
pub const D1_VALUE_BYTES: i32 = 2_000_000;
pub const D1_COLUMNS: i32 = 100;
pub const D1_PARAMETERS: i32 = 100;
/// Longest SQL of a call, and of a file that is imported, in bytes.
pub const D1_SQL_BYTES: usize = 100_000;
pub const D1_IMPORT_BYTES: usize = 64 * 1024 * 1024;
/// Statements of one call.
pub const D1_STATEMENTS: usize = 1_000;
/// What a call answers at most, counted as text, in bytes.
pub const D1_RESULT_BYTES: usize = 10 * 1024 * 1024;
/// Time that one call may take, in milliseconds; and an import.
pub const D1_TIME_MS: u64 = 30_000;
pub const D1_IMPORT_TIME_MS: u64 = 120_000;
/// What one call writes at most, files that a sort spills into included: so many times what the database may hold, and this at least, in bytes.
pub const D1_WRITTEN_TIMES: u64 = 3;
pub const D1_WRITTEN_LEAST: u64 = 64 * 1024 * 1024;
/// Time after which a call that cannot be stopped keeps its own account's place and nobody else's: longer than any import.
pub const D1_STUCK: Duration = Duration::from_secs(150);
/// Calls that run at a time, of everybody and of one account; a thread each.
pub const D1_AT_A_TIME: usize = 8;
pub const D1_AT_A_TIME_EACH: usize = 2;
/// Databases that stay open when nobody asks.
pub const D1_OPEN: usize = 200;
/// Memory for the pages of one open database, in KiB.
pub const D1_CACHE_KIB: u32 = 2_048;
/// Room on the disk that no call takes, in bytes: what spills while a statement runs is nobody's, and the disk is everybody's.
pub const D1_DISK_LEAST_BYTES: u64 = 256 * 1024 * 1024;
/// Lengths in bytes, one times the other, of what SQLite may compare with each other in one step that nothing interrupts.
pub const D1_STEP_PRODUCT: u64 = 1 << 30;
/// How far back a database's past goes, in seconds, and how much of it there is, in bytes.
pub const D1_PAST_S: i64 = 30 * 24 * 3600;
pub const D1_PAST_BYTES: u64 = 512 * 1024 * 1024;
/// What changes may add to the past of an account's databases when its room is used up, in bytes: beyond it nothing is changed.
pub const D1_PAST_BEYOND_BYTES: i64 = 16 * 1024 * 1024;
/// The log that becomes a segment of the past, and the segments after which the whole file is kept, in bytes.
pub const D1_SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
pub const D1_BASE_BYTES: u64 = 64 * 1024 * 1024;
/// Time that the address of an upload or of an export is good, in seconds.
pub const D1_TRANSFER_LIFE_S: i64 = 3_600;

/// Queues of an account.
pub const QUEUES: i64 = 1_000;
/// Longest name of a queue, in bytes.
pub const QUEUE_NAME_BYTES: usize = 63;
/// Largest message, in bytes; what each counts as at least; messages of one call to send, and their bytes together.
pub const QUEUE_MESSAGE_BYTES: usize = 128_000;
pub const QUEUE_MESSAGE_LEAST_BYTES: i64 = 64;
pub const QUEUE_SEND: usize = 100;
pub const QUEUE_SEND_BYTES: usize = 288_000;
/// Messages of one batch that is delivered or pulled.
pub const QUEUE_BATCH: i64 = 100;
/// Bytes of one batch, in which there is one message at least.
pub const QUEUE_BATCH_BYTES: usize = 1024 * 1024;
/// Longest delay, usual and longest life of a message, in seconds.
pub const QUEUE_DELAY_S: i64 = 86_400;
pub const QUEUE_RETENTION_S: i64 = 345_600;
pub const QUEUE_RETENTION_MOST_S: i64 = 1_209_600;
/// How long messages that a Worker works on stay hidden: longer than any event may take. And the longest that one can be pulled for.
pub const QUEUE_LEASE_MS: i64 = 16 * 60 * 1_000;
pub const QUEUE_LEASE_MOST_MS: i64 = 43_200_000;
/// How long messages wait that nobody could be found for, in seconds.
pub const QUEUE_UNSEEN_S: i64 = 5;
/// Batches of one queue that are under way in one process.
pub const QUEUE_CONCURRENCY: usize = 4;
/// The same of one account, and of everybody.
pub const QUEUE_CONCURRENCY_EACH: usize = 8;
pub const QUEUE_CONCURRENCY_ALL: usize = 256;

/// What the Cache API holds of everybody, of one tenant, and in one entry, in bytes; and for how long at most, in seconds.
pub const CACHE_BYTES: usize = 256 * 1024 * 1024;
pub const CACHE_TENANT_BYTES: usize = 32 * 1024 * 1024;
pub const CACHE_ENTRY_BYTES: usize = 8 * 1024 * 1024;
pub const CACHE_LIFE_S: i64 = 365 * 24 * 3600;
/// Keys of rate limits that are counted at a time, and the longest question, in bytes.
pub const RATE_KEYS: usize = 500_000;
pub const RATE_BODY_BYTES: usize = 64 * 1024;

/// Time after which an upload that nobody finished is removed, in seconds.
pub const UPLOAD_LIFE_S: i64 = 24 * 3600;
/// Time that bytes stay when nothing refers to them any more, in seconds: whoever reads them now reads to the end.
pub const DOOMED_S: i64 = 600;
/// Bytes of an account that wait for that and do not count: whoever makes room has it at once, and the disk is not filled by overwriting.
pub const DOOMED_FREE_BYTES: i64 = 1024 * 1024 * 1024;
/// Rows or objects that one round of a sweep removes.
pub const SWEEP_BATCH: i64 = 500;
