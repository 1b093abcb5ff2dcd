//! What a process of its own is asked to do with one peer.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::kind::Kind;
use super::load::Load;
use super::workload::{Costs, Work, batches, commits, million, unsynced, writers as of_writers};
use super::{Peer, Result};
use crate::index::process::anonymous_bytes;
use crate::pairing::Slice;

/// One measurement.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Job {
    /// Who.
    pub kind: Kind,
    /// What.
    pub work: Work,
    /// For how long, where the work lasts a time.
    pub seconds: f64,
    /// With how many events, where many wait.
    pub events: u64,
}

impl Job {
    /// Does it in `dir`, which is empty, and says what one event cost.
    ///
    /// # Errors
    ///
    /// What the peer says, or that it did something else than was asked.
    pub fn run(&self, dir: &Path) -> Result<Costs> {
        let load = Load::default();
        let before = anonymous_bytes()?;
        let peer = self.kind.open(dir, self.work)?;
        let peer = &*peer;
        match self.work {
            Work::Million => million::run(self.kind, peer, &load, (self.events, before)),
            Work::Commits(count) | Work::UnsyncedCommits(count) => {
                commits::run(peer, &load, self.work.mode(), count)?;
                Ok(Costs::new())
            }
            Work::Writers(_) | Work::Batches(_) | Work::Unsynced => {
                let slice = self.lasting(peer, &load)?;
                let workloads = self.work.workloads();
                Ok(workloads.map(|workload| (workload, slice.seconds / slice.events)).collect())
            }
        }
    }

    /// Does what lasts a time.
    fn lasting(&self, peer: &dyn Peer, load: &Load) -> Result<Slice> {
        let lasting = Duration::from_secs_f64(self.seconds);
        match self.work {
            // The limit of many writers is one write for all of them.
            Work::Writers(count) if self.kind == Kind::Limit => {
                batches::run(peer, load, count, lasting)
            }
            Work::Writers(count) => of_writers::run(peer, load, count, lasting),
            Work::Batches(count) => batches::run(peer, load, count, lasting),
            Work::Unsynced => unsynced::run(peer, load, lasting),
            Work::Million | Work::Commits(_) | Work::UnsyncedCommits(_) => {
                Err("this work has an end of its own".into())
            }
        }
    }
}
