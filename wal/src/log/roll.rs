//! Begins runs and segments.

use std::sync::Arc;

use super::spares::PreparedSegment;
use super::{ActiveSegment, Commit, Core, Purpose, QueuedChunk};
use crate::checksum::{Salted, salt};
use crate::error::{Error, ErrorKind};
use crate::header::SegmentHeader;
use crate::limits::HEADER_BLOCK_BYTES;
use crate::name;
use crate::run::REPEAT;
use crate::sealing::{META_NUMBER, SegmentBodies, SegmentKey};
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
        let (PreparedSegment { space, recycled }, key) = self.take_with_key(commit, purpose)?;
        let number = space.number;
        let envelope = key.as_ref().map(|key| key.envelope());
        let (before, before_end) = self.seal_tail(commit)?;
        let none = (commit.digest, commit.last_lsn);
        let (digest, last_lsn) = commit.tail.as_ref().map_or(none, |t| (t.digest, t.last_lsn));
        let header = SegmentHeader {
            identity: self.identity,
            envelope,
            number,
            first_lsn: commit.next_lsn,
            run: commit.run,
            segment_bytes: space.bytes,
            before,
            before_end,
            digest,
            read_compat: 0,
            recycled,
        };
        let salt = salt(&self.identity.store, number);
        let mut bytes = commit.spare_bytes.pop().unwrap_or_default();
        bytes.extend(&header.encode());
        commit.queue.push(QueuedChunk { space: Arc::clone(&space), offset: 0, bytes, end: None });
        let mut segments = self.segments.write();
        segments.written_in(number, &space.file);
        if let Some(left) = &commit.tail
            && !left.closed
            && let Some(segment) = segments.get_mut(left.space.number)
        {
            segment.written_bytes = left.space.filled();
        }
        segments.insert(Segment {
            number,
            salt,
            first_lsn: commit.next_lsn,
            last_lsn,
            used_bytes: 0,
            written_bytes: 0,
            file_bytes: space.bytes,
            damaged: false,
            unread: false,
            unchecked: None,
            waypoints: Waypoints::for_segment(space.bytes),
            bodies: key.clone().map_or(SegmentBodies::Clear, SegmentBodies::Sealed),
            envelope,
        });
        drop(segments);
        commit.tail = Some(ActiveSegment {
            space,
            first_lsn: commit.next_lsn,
            last_lsn,
            salted: Salted::new(salt),
            offset: u64::try_from(HEADER_BLOCK_BYTES).unwrap_or(u64::MAX),
            count: 0,
            digest,
            sealed: false,
            closed: false,
            unread: false,
            key,
        });
        if commit.run_begun {
            commit.push_run(REPEAT)?;
        }
        self.rotate_meta();
        Ok(())
    }

    /// Seals the tail; its number and end.
    fn seal_tail(&self, commit: &mut Commit) -> Result<(u64, u64), Error> {
        if commit.tail.as_ref().is_some_and(|tail| !tail.sealed) {
            commit.push_seal(self.identity.store)?;
        }
        Ok(commit.tail.as_ref().map_or((0, 0), |tail| (tail.space.number, tail.offset)))
    }

    /// A prepared segment, and where bodies are sealed a fresh key for it; neither without the other.
    fn take_with_key(
        &self,
        commit: &mut Commit,
        purpose: Purpose,
    ) -> Result<(PreparedSegment, Option<Arc<SegmentKey>>), Error> {
        let prepared = self.take_prepared(commit, purpose)?;
        let Some(sealing) = &self.sealing else { return Ok((prepared, None)) };
        match SegmentKey::new(&**sealing, &self.identity, prepared.space.number) {
            Ok(key) => Ok((prepared, Some(Arc::new(key)))),
            Err(refusal) => {
                let path = name::segment(&self.identity.store, prepared.space.number);
                self.spares.put_back(prepared);
                Err(refusal.of(&path))
            }
        }
    }

    /// Where the host wraps new keys otherwise by now: so is that of `meta`, when it is next written.
    fn rotate_meta(&self) {
        let Some(sealing) = &self.sealing else { return };
        let mut meta = self.meta.lock();
        let Some(envelope) = meta.current.envelope else { return };
        // What cannot be known or made now is tried again at the next segment.
        if let Ok(false) = sealing.is_current(&envelope.key)
            && let Ok(key) = SegmentKey::new(&**sealing, &self.identity, META_NUMBER)
        {
            meta.current.envelope = Some(key.envelope());
        }
    }
}
