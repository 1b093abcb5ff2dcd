//! Begins runs and segments.

use super::{Chunk, Commit, Core, Purpose, Tail};
use crate::checksum::salt;
use crate::error::{Error, ErrorKind};
use crate::header::SegmentHeader;
use crate::limits::HEADER_BLOCK_BYTES;
use crate::run::REPEAT;
use crate::segment::Segment;
use crate::waypoints::Waypoints;

impl Core {
    /// Begins another run, durably.
    pub(super) fn next_run(&self, commit: &mut Commit, elapsed: u64) -> Result<(), Error> {
        let run = commit
            .run
            .checked_add(1)
            .ok_or_else(|| Error::new(ErrorKind::Full, "the log has no further run"))?;
        let mut meta = self.meta.lock();
        let mut next = meta.current.clone();
        next.run = run;
        next.next_lsn = commit.next_lsn;
        meta.write(next).inspect_err(|error| commit.note(error))?;
        commit.run = run;
        commit.stamp = commit.stamp.later(elapsed);
        commit.run_begun = false;
        commit.run_spent = false;
        Ok(())
    }

    /// Seals the tail and begins the next segment.
    pub(super) fn roll(&self, commit: &mut Commit, purpose: Purpose) -> Result<(), Error> {
        let prepared = self.take_prepared(commit, purpose)?;
        let (before, before_end) = match &commit.tail {
            Some(tail) if !tail.sealed => {
                commit.push_seal(self.identity.store)?;
                let end = commit.tail.as_ref();
                end.map_or((0, 0), |tail| (tail.number, tail.offset))
            }
            Some(tail) => (tail.number, tail.offset),
            None => (0, 0),
        };
        let (digest, last_lsn) = commit
            .tail
            .as_ref()
            .map_or((commit.digest, commit.last_lsn), |t| (t.digest, t.last_lsn));
        let header = SegmentHeader {
            identity: self.identity,
            number: prepared.number,
            first_lsn: commit.next_lsn,
            run: commit.run,
            segment_bytes: prepared.segment_bytes,
            before,
            before_end,
            digest,
            read_compat: 0,
            recycled: prepared.recycled,
        };
        let salt = salt(&self.identity.store, prepared.number);
        let file = prepared.file;
        commit.queue.push(Chunk {
            file: file.clone(),
            number: prepared.number,
            offset: 0,
            bytes: header.encode(),
            end: None,
        });
        let mut segments = self.segments.write();
        segments.written_in(prepared.number, &file);
        segments.insert(Segment {
            number: prepared.number,
            salt,
            first_lsn: commit.next_lsn,
            last_lsn,
            used_bytes: 0,
            file_bytes: prepared.segment_bytes,
            damaged: false,
            waypoints: Waypoints::for_segment(prepared.segment_bytes),
        });
        drop(segments);
        commit.tail = Some(Tail {
            number: prepared.number,
            file,
            first_lsn: commit.next_lsn,
            last_lsn,
            salt,
            offset: u64::try_from(HEADER_BLOCK_BYTES).unwrap_or(u64::MAX),
            segment_bytes: prepared.segment_bytes,
            count: 0,
            digest,
            sealed: false,
        });
        if commit.run_begun {
            commit.push_run(REPEAT)?;
        }
        Ok(())
    }
}
