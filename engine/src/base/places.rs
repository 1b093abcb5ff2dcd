//! Names of a store's files and directories, from its own directory on.

/// Where the log's files are.
pub(crate) const LOG_DIR: &str = "log";
/// Where bytes are kept that a person should look at.
pub(crate) const QUARANTINE_DIR: &str = "quarantine";
/// Where the index's files are.
pub(crate) const INDEX_DIR: &str = "index";
/// Where other processes put decisions.
pub(crate) const DECISIONS_DIR: &str = "decisions";
/// Where the catalog's files are.
pub(crate) const CATALOG_DIR: &str = "catalog";
/// The lock's file.
pub(crate) const LOCK_FILE: &str = "lock";
/// A file that says that the log was repaired since the index was compared with it.
pub(crate) const UNCHECKED: &str = "index/unchecked";
