//! What Workers keep: key-value namespaces, object buckets, databases and queues, and the one trait behind which bytes lie.
