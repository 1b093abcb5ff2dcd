//! The end of a log that is closed in order: all is durable, nothing more is written, and another handle may have the
//! files.

use super::Log;
use crate::error::{Error, ErrorKind};
use crate::meta::CleanEnd;

/// Where a log ended that was closed.
#[derive(Debug)]
struct LogEnd {
    clean: CleanEnd,
    synced: u64,
    next_lsn: u64,
}

impl Log {
    /// Makes everything durable and notes that the log ends here, so that anything missing is
    /// noticed at the next opening. From then on nothing is written, and the lock is free; what is durable can still
    /// be read through this handle, until another one trims it. Nobody may be trimming.
    ///
    /// # Durability
    ///
    /// After `Ok` everything appended survives. After an error, what [`Log::wait`] confirmed does.
    ///
    /// # Errors
    ///
    /// As [`Log::wait`]; `Poisoned` with the code [`CLOSED`](crate::CLOSED) if it was closed before.
    pub fn close(&self) -> Result<(), Error> {
        self.core.refuse_if_forked()?;
        let worker = self.worker.lock().take();
        if let Some(worker) = worker {
            worker.stop(&self.core);
        }
        let end = self.end()?;
        // A log whose last segment ends in damage has no end that could be vouched for.
        let vouched = end.clean.number != 0 || self.core.segments.read().infos().next().is_none();
        {
            let mut meta = self.core.meta.lock();
            let mut next = meta.current.clone();
            next.clean = vouched.then_some(end.clean);
            next.synced = end.synced;
            next.next_lsn = end.next_lsn;
            meta.write(next)?;
            meta.write_no_more();
        }
        self.core.tailing.announce();
        *self.lock.lock() = None;
        Ok(())
    }

    /// Makes everything durable, and has nothing more written behind it.
    fn end(&self) -> Result<LogEnd, Error> {
        loop {
            let last = match self.core.append_mark() {
                // No room, and none needed: what was appended is all that must be durable.
                Err(error) if error.kind() == ErrorKind::Full => self.core.last_queued(),
                marked => marked?,
            };
            if let Some(lsn) = last {
                self.wait(lsn)?;
            }
            let mut commit = self.core.commit.lock();
            commit.refuse_if_poisoned()?;
            // Others may have appended meanwhile, who had begun before.
            let is_all_synced = commit.tail.as_ref().is_none_or(|it| it.last_lsn <= commit.synced);
            if commit.run_begun && !is_all_synced {
                continue;
            }
            let none = CleanEnd::default();
            let clean = commit.tail.as_ref().map_or(none, |tail| CleanEnd {
                number: tail.space.number,
                offset: tail.offset,
                digest: tail.digest,
            });
            let end = LogEnd { clean, synced: commit.synced, next_lsn: commit.next_lsn };
            commit.poison_closed();
            return Ok(end);
        }
    }
}
