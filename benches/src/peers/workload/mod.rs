//! What is measured, and the pieces of work that measure it.
//!
//! | work | what |
//! |---|---|
//! | [`writers`] | threads that each capture one event, durably, and then the next |
//! | [`batches`] | one thread, many events in a commit |
//! | [`unsynced`] | one thread that does not wait for the disk, but once at the end |
//! | [`million`] | a store of many events that wait: its memory, lookups by key, draining |
//! | [`commits`] | so many commits and nothing else, for who counts their system calls |

pub mod batches;
pub mod commits;
pub mod drain;
pub mod lookups;
pub mod million;
pub mod unsynced;
pub mod writers;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Mode;

/// What one event costs in each workload: seconds, or bytes of memory.
pub type Costs = BTreeMap<Workload, f64>;

/// One figure of each peer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// W1.
    OneWriter,
    /// W2 with two.
    #[serde(rename = "writers_2")]
    Writers2,
    /// W2 with eight.
    #[serde(rename = "writers_8")]
    Writers8,
    /// W2 with sixty-four.
    #[serde(rename = "writers_64")]
    Writers64,
    /// W3 with a hundred events.
    #[serde(rename = "batches_100")]
    Batches100,
    /// W3 with five hundred.
    #[serde(rename = "batches_500")]
    Batches500,
    /// W4.
    Unsynced,
    /// W5.
    Lookup,
    /// W8; events may stay.
    Drain,
    /// W8; the space of what is settled is given back.
    DrainRemoving,
    /// Memory of what waits.
    Memory,
}

impl Workload {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 11] = [
        Self::OneWriter,
        Self::Writers2,
        Self::Writers8,
        Self::Writers64,
        Self::Batches100,
        Self::Batches500,
        Self::Unsynced,
        Self::Lookup,
        Self::Drain,
        Self::DrainRemoving,
        Self::Memory,
    ];

    /// How the figure is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::OneWriter => "one_writer",
            Self::Writers2 => "writers_2",
            Self::Writers8 => "writers_8",
            Self::Writers64 => "writers_64",
            Self::Batches100 => "batches_100",
            Self::Batches500 => "batches_500",
            Self::Unsynced => "unsynced",
            Self::Lookup => "lookup",
            Self::Drain => "drain",
            Self::DrainRemoving => "drain_removing",
            Self::Memory => "memory",
        }
    }

    /// What people call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::OneWriter => "one writer",
            Self::Writers2 => "2 writers",
            Self::Writers8 => "8 writers",
            Self::Writers64 => "64 writers",
            Self::Batches100 => "batches of 100",
            Self::Batches500 => "batches of 500",
            Self::Unsynced => "deferred or unsynced, one thread",
            Self::Lookup => "lookup by key, half hits",
            Self::Drain => "drain and settle, events may stay",
            Self::DrainRemoving => "drain and settle, space given back",
            Self::Memory => "memory of an unsettled event",
        }
    }

    /// The work that measures it.
    #[must_use]
    pub fn work(self) -> Work {
        match self {
            Self::OneWriter => Work::Writers(1),
            Self::Writers2 => Work::Writers(2),
            Self::Writers8 => Work::Writers(8),
            Self::Writers64 => Work::Writers(64),
            Self::Batches100 => Work::Batches(100),
            Self::Batches500 => Work::Batches(500),
            Self::Unsynced => Work::Unsynced,
            Self::Lookup | Self::Drain | Self::DrainRemoving | Self::Memory => Work::Million,
        }
    }
}

/// What one process does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// So many threads that capture.
    Writers(usize),
    /// One thread, so many events in a commit.
    Batches(usize),
    /// One thread that does not wait.
    Unsynced,
    /// Many events that wait.
    Million,
    /// So many commits.
    Commits(usize),
    /// So many commits that are not synced.
    UnsyncedCommits(usize),
}

impl Work {
    /// Those that are measured, in their order.
    pub const ALL: [Self; 8] = [
        Self::Writers(1),
        Self::Writers(2),
        Self::Writers(8),
        Self::Writers(64),
        Self::Batches(100),
        Self::Batches(500),
        Self::Unsynced,
        Self::Million,
    ];

    /// How a peer is opened for it.
    #[must_use]
    pub fn mode(self) -> Mode {
        match self {
            Self::Writers(_) | Self::Batches(_) | Self::Million | Self::Commits(_) => Mode::Durable,
            Self::Unsynced | Self::UnsyncedCommits(_) => Mode::Unsynced,
        }
    }

    /// What it measures.
    pub fn workloads(self) -> impl Iterator<Item = Workload> {
        Workload::ALL.into_iter().filter(move |workload| workload.work() == self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_workload_is_measured_once_and_named_as_it_is_written() {
        let measured: Vec<Workload> = Work::ALL.into_iter().flat_map(Work::workloads).collect();
        assert_eq!(measured, Workload::ALL);
        for workload in Workload::ALL {
            let written = serde_json::to_string(&workload).unwrap();
            assert_eq!(written, format!("\"{}\"", workload.name()));
        }
    }
}
