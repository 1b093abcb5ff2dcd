//! An index that begins anew while it is used: its files were damaged, and whoever has the log replays it.

use super::Index;

impl Index {
    /// Reads the files no more and keeps what is in memory only: for who got `Corrupt` and replays the
    /// log, with [`Index::restore`] and [`Index::raise_settled`]. Slices, their numbers and what holds them
    /// stay.
    ///
    /// Nothing is written before [`Index::end_anew`].
    ///
    /// # Durability
    ///
    /// The files stay, and count for the next opening, until the first checkpoint after that.
    pub fn begin_anew(&self) {
        let Some(files) = &self.files else { return };
        let mut files = files.lock();
        files.begin_anew();
        self.state.write().forget_files();
    }

    /// Writes nothing before [`Index::end_anew`]: for who could not apply a frame, so that no checkpoint covers
    /// that frame.
    pub fn stop_writing(&self) {
        if let Some(files) = &self.files {
            files.lock().is_given_up = true;
        }
    }

    /// Writes again, as the log was replayed: the next checkpoint writes all of it.
    pub fn end_anew(&self) {
        if let Some(files) = &self.files {
            files.lock().is_given_up = false;
        }
    }
}
