//! Begins anew while it is used: its files were damaged, and whoever has the log tells it again.

use super::Index;
use crate::error::Result;

impl Index {
    /// Gives the files up and keeps what is in memory only: for who was told `Corrupt` and tells the log again,
    /// with [`Index::restore`] and [`Index::raise_settled`]. Slices, their numbers and what holds them stay.
    ///
    /// Nothing is written before [`Index::end_anew`].
    ///
    /// # Durability
    ///
    /// As [`Index::discard`].
    ///
    /// # Errors
    ///
    /// As [`Index::discard`]; it knows what it knew.
    pub fn begin_anew(&self) -> Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let mut disk = disk.lock();
        disk.begin_anew()?;
        self.state.write().forget_files();
        Ok(())
    }

    /// The log was told: the next checkpoint writes all of it.
    pub fn end_anew(&self) {
        if let Some(disk) = &self.disk {
            disk.lock().is_given_up = false;
        }
    }
}
