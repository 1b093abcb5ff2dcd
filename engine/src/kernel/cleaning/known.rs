//! Cleans a segment in which nothing lives but keys of settled events, without reading it: what was damaged in it since
//! it was written costs nothing then, and nobody learns of it.

use onceward_wal::SegmentInfo;

use super::{Cleaner, FoundAlive, Notes, PORTION_BYTES};
use crate::base::Result;
use crate::kernel::{Areas, KnownPart};

/// How far a segment was cleaned that is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum CleanedKnown {
    /// Wholly, or it must stay for now.
    Done,
    /// Not wholly: it must be read.
    MustBeRead,
}

impl<S: Areas> Cleaner<'_, S> {
    /// Carries the keys that live in a segment, if memory knows that nothing else does, and forgets it. Returns how
    /// many bytes it carried.
    ///
    /// # Errors
    ///
    /// As [`Cleaner::clean`].
    pub(super) fn clean_known(
        &self,
        notes: &mut Notes,
        segment: SegmentInfo,
    ) -> Result<(CleanedKnown, u64)> {
        let number = segment.number;
        let (expected, live_bytes) = {
            let state = self.engine.state.lock();
            // What nobody read since the log was opened is checked before it goes.
            if segment.damaged || segment.unchecked || !state.is_known(number) {
                return Ok((CleanedKnown::MustBeRead, 0));
            }
            let usage = state.kernel().usage.get(number);
            (state.counted_in(number), usage.map_or(0, |usage| usage.live_bytes()))
        };
        if !self.engine.reserve().can_carry(live_bytes)? {
            notes.known.not_now.insert(number);
            return Ok((CleanedKnown::Done, 0));
        }
        let (mut carried, mut count, mut from) = (0, 0, 0);
        let mut is_left = true;
        while is_left {
            self.engine.refuse_if_closed()?;
            let _one_at_a_time = self.engine.control.lock();
            let mut found = FoundAlive::new(number);
            while found.live.bytes() < PORTION_BYTES && is_left {
                let FoundAlive { live, gathered } = &mut found;
                let state = self.engine.state.lock();
                let asking = state.kernel().keys.ask();
                let part = state.gather_known(asking, number, from, (live, gathered))?;
                let Some(KnownPart { count: looked_at, next }) = part else {
                    // What was carried before this is carried.
                    return Ok((CleanedKnown::MustBeRead, carried));
                };
                count += looked_at;
                is_left = next.is_some();
                from = next.unwrap_or(from);
            }
            carried += self.carry(found)?;
        }
        // Nothing is in the segment that the table of events did not show.
        if expected != (count, 0) {
            return Ok((CleanedKnown::MustBeRead, carried));
        }
        self.forget(notes, number);
        Ok((CleanedKnown::Done, carried))
    }
}
