//! What is in memory, under its lock; what an operation needs and is not there is read from the files meanwhile.

use std::ops::Deref;

use crate::{
    error::{Error, Result},
    files::StoredShard,
    state::{IndexState, Obstacle},
    sync::RwLock,
};

/// The state of an index, to be shared between threads.
pub(super) struct SharedState(RwLock<IndexState>);

impl Deref for SharedState {
    type Target = RwLock<IndexState>;

    fn deref(&self) -> &RwLock<IndexState> {
        &self.0
    }
}

impl SharedState {
    /// Shares a state.
    pub(super) fn new(state: IndexState) -> Self {
        Self(RwLock::new(state))
    }

    /// Asks the state; loads what is not in memory, and asks again.
    pub(super) fn ask<T>(
        &self,
        ask: impl Fn(&IndexState) -> std::result::Result<T, Obstacle>,
    ) -> Result<T> {
        loop {
            let obstacle = match ask(&self.read()) {
                Ok(answer) => return Ok(answer),
                Err(obstacle) => obstacle,
            };
            self.load(obstacle)?;
        }
    }

    /// Changes the state; loads what is not in memory, and begins again.
    pub(super) fn change<T>(
        &self,
        change: impl Fn(&mut IndexState) -> std::result::Result<T, Obstacle>,
    ) -> Result<T> {
        loop {
            let obstacle = match change(&mut self.write()) {
                Ok(answer) => return Ok(answer),
                Err(obstacle) => obstacle,
            };
            self.load(obstacle)?;
        }
    }

    /// Loads the shard that an operation stopped at. Reading is done without the lock.
    pub(super) fn load(&self, obstacle: Obstacle) -> Result<()> {
        let shard = match obstacle {
            Obstacle::Cold(cold) => cold.shard,
            Obstacle::Failed(error) => return Err(error),
        };
        loop {
            let table_files = self.read().table_files.clone();
            let stored = StoredShard::read(table_files, shard)?;
            let prepared = match self.read().prepare_shard(shard, &stored) {
                Ok(Some(prepared)) => prepared,
                Ok(None) => return Ok(()),
                Err(Obstacle::Failed(error)) => return Err(error),
                Err(Obstacle::Cold(_)) => return Err(Error::corrupt("table", "has no such shard")),
            };
            // If not, a checkpoint replaced the files meanwhile.
            if self.write().install_shard(shard, &stored, prepared) {
                return Ok(());
            }
        }
    }
}
