//! Who is measured, and what each of them can do.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::fjall::Fjall;
use super::limits::{Gathered, Held, Raw, Unsynced};
use super::lmdb::Lmdb;
use super::naive::Naive;
use super::naive_gc::NaiveGc;
use super::okaywal::Okaywal;
use super::onceward::Onceward;
use super::raft_engine::RaftEngine;
use super::redb::Redb;
use super::sqlite::Sqlite;
use super::workload::{Work, Workload};
use super::{Mode, Peer, Result};
use crate::engine::SEGMENT_BYTES;

/// A peer, one of its settings, or a limit.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// What the machine can do at most: the same bytes, and nothing around them.
    Limit,
    /// A gathering group commit of the same bytes, without dedup.
    LimitGc,
    /// Ours with its defaults.
    Onceward,
    /// Ours with segments of 64 MiB.
    OncewardLarge,
    /// raft-engine and a map.
    RaftEngine,
    /// okaywal and a map.
    Okaywal,
    /// fjall.
    Fjall,
    /// SQLite.
    Sqlite,
    /// LMDB.
    Lmdb,
    /// redb.
    Redb,
    /// A map and a file.
    Naive,
    /// The same with group commit.
    NaiveGc,
}

/// What is told of a peer in the document.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// How it is opened and used.
    pub settings: &'static str,
    /// What a durable commit of it withstands.
    pub durable: &'static str,
}

impl Kind {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 12] = [
        Self::Limit,
        Self::LimitGc,
        Self::Onceward,
        Self::OncewardLarge,
        Self::RaftEngine,
        Self::Okaywal,
        Self::Fjall,
        Self::Sqlite,
        Self::Lmdb,
        Self::Redb,
        Self::Naive,
        Self::NaiveGc,
    ];

    /// How it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Limit => "LIMIT",
            Self::LimitGc => "LIMIT-gc",
            Self::Onceward => "Onceward",
            Self::OncewardLarge => "Onceward, 64 MiB segments",
            Self::RaftEngine => "raft-engine and map",
            Self::Okaywal => "okaywal and map",
            Self::Fjall => "fjall",
            Self::Sqlite => "SQLite",
            Self::Lmdb => "LMDB",
            Self::Redb => "redb",
            Self::Naive => "naive",
            Self::NaiveGc => "naive with group commit",
        }
    }

    /// Whether it is a limit, and no store.
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(self, Self::Limit | Self::LimitGc)
    }

    /// Whether it is ours.
    #[must_use]
    pub fn is_ours(self) -> bool {
        matches!(self, Self::Onceward | Self::OncewardLarge)
    }

    /// Whether settling lets go of events in any case.
    #[must_use]
    pub fn always_removes(self) -> bool {
        matches!(self, Self::Onceward | Self::RaftEngine)
    }

    /// Whether it can do a workload, and is measured with it.
    #[must_use]
    pub fn does(self, workload: Workload) -> bool {
        let work = workload.work();
        match self {
            Self::Limit => workload != Workload::Memory,
            Self::LimitGc => matches!(work, Work::Writers(2..)),
            // Segments matter where the disk does.
            Self::OncewardLarge | Self::NaiveGc => {
                matches!(work, Work::Writers(_) | Work::Batches(_))
            }
            Self::Onceward | Self::Fjall | Self::Sqlite | Self::Lmdb | Self::Redb => true,
            Self::RaftEngine => workload != Workload::Lookup,
            Self::Okaywal => {
                matches!(work, Work::Writers(_) | Work::Batches(_)) || workload == Workload::Memory
            }
            Self::Naive => workload != Workload::DrainRemoving,
        }
    }

    /// Whether it is asked how many syncs a commit has.
    #[must_use]
    pub fn is_counted(self) -> bool {
        !self.is_limit() && self != Self::OncewardLarge
    }

    /// Makes an empty one in `dir` for such work.
    ///
    /// # Errors
    ///
    /// What the peer says.
    pub fn open(self, dir: &Path, work: Work) -> Result<Box<dyn Peer>> {
        let mode = work.mode();
        Ok(match self {
            Self::Limit => match (work, mode) {
                (Work::Million, _) => Box::new(Held::open(dir)?),
                (_, Mode::Durable) => Box::new(Raw::open(dir)?),
                (_, Mode::Unsynced) => Box::new(Unsynced::open(dir)?),
            },
            Self::LimitGc => Box::new(Gathered::open(dir)?),
            Self::Onceward => Box::new(Onceward::open(dir, None)?),
            Self::OncewardLarge => Box::new(Onceward::open(dir, Some(SEGMENT_BYTES))?),
            Self::RaftEngine => Box::new(RaftEngine::open(dir)?),
            Self::Okaywal => Box::new(Okaywal::open(dir)?),
            Self::Fjall => Box::new(Fjall::open(dir)?),
            Self::Sqlite => Box::new(Sqlite::open(dir, mode)?),
            Self::Lmdb => Box::new(Lmdb::open(dir, mode)?),
            Self::Redb => Box::new(Redb::open(dir)?),
            Self::Naive => Box::new(Naive::open(dir)?),
            Self::NaiveGc => Box::new(NaiveGc::open(dir)?),
        })
    }

    /// What the document tells of it.
    #[must_use]
    pub fn facts(self) -> Facts {
        let (settings, durable) = match self {
            Self::Limit | Self::LimitGc => ("see above", "yes; it remembers no keys"),
            Self::Onceward => (
                "defaults: index with files, segments of 1 MiB; `capture`, `capture_batch`, `capture_deferred`",
                "yes, events and keys",
            ),
            Self::OncewardLarge => ("the same, segments of 64 MiB", "yes, events and keys"),
            Self::RaftEngine => (
                "0.4, no compression (the payloads cannot be made smaller), purge from 128 MB on; a region for each writer; `write` with `sync`; settled by a compaction command",
                "events yes; keys are a map in memory, which is not written",
            ),
            Self::Okaywal => (
                "0.3, defaults: files of 1 MiB; what a file held is kept in a second file, synced, before it is used again",
                "events yes; keys are a map in memory, which is not written",
            ),
            Self::Fjall => (
                "3, a keyspace of keys and one of events, one batch for each commit with `SyncData`, cache of 64 MiB; a mutex makes looking and writing one step",
                "yes, events and keys",
            ),
            Self::Sqlite => (
                "bundled, WAL, `synchronous=FULL` (unsynced: `NORMAL`), cache of 64 MiB, cached statements, one connection behind a mutex, one transaction for each commit",
                "yes, events and keys",
            ),
            Self::Lmdb => (
                "0.9 through lmdb-rkv (heed opens with an unsafe call, which our sources do not have), defaults (unsynced: `NO_SYNC`), a tree of keys and one of events, one transaction for each commit",
                "yes, events and keys; the page of the root is written with O_DSYNC besides, a second flush",
            ),
            Self::Redb => (
                "4, `Durability::Immediate` (unsynced: `None`), one-phase commit as by default, cache of 64 MiB",
                "yes, events and keys",
            ),
            Self::Naive => (
                "a `HashMap<String, u64>`, a growing file with CRC-32, a mutex around both; `fdatasync` for each commit",
                "events yes; keys are read back from all events",
            ),
            Self::NaiveGc => ("the same, whoever finds nobody writing writes for all", "as naive"),
        };
        Facts { settings, durable }
    }
}
