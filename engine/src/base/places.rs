//! Names of a store's files and directories, from its own directory on.

/// The directory of the log's files.
pub(crate) const LOG_DIR: &str = "log";
/// The directory of bytes that a person should look at.
pub(crate) const QUARANTINE_DIR: &str = "quarantine";
/// The directory of the index's files.
pub(crate) const INDEX_DIR: &str = "index";
/// The directory of what replay needs of finished segments.
pub(crate) const SUMMARIES_DIR: &str = "summaries";
/// The directory into which other processes put decisions.
pub(crate) const DECISIONS_DIR: &str = "decisions";
/// The directory of the catalog's files.
pub(crate) const CATALOG_DIR: &str = "catalog";
/// The lock's file.
pub(crate) const LOCK_FILE: &str = "lock";
/// A file that says that the log was repaired since the index was compared with it.
pub(crate) const UNCHECKED: &str = "index/unchecked";
