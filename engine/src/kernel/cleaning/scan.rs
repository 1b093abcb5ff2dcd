//! What is kept in memory of a segment that was read: all that may live in it.

use onceward_wal::Frame;

use super::{Cleaner, FoundAlive};
use crate::base::{FrameKind, Result};
use crate::kernel::{Areas, Scanned};

/// What was read of a segment.
pub(super) struct SegmentScan<T> {
    /// Frames that go in order, see [`FrameKind::goes_in_order`].
    pub(super) in_order: Vec<Kept<T>>,
    /// The others.
    pub(super) others: Vec<Kept<T>>,
}

/// A frame of which something may live.
pub(super) enum Kept<T> {
    /// Enough of it.
    Short(T),
    /// The frame.
    Whole(Whole),
}

/// A frame with its body.
pub(super) struct Whole {
    frame: Frame<'static>,
    body: Vec<u8>,
}

impl<T> Kept<T> {
    fn whole(frame: &Frame<'_>) -> Self {
        Self::Whole(Whole { frame: frame.without_body(), body: frame.body.to_vec() })
    }

    /// Looks at what lives of it now.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the index cannot be read.
    pub(super) fn judge<S: Areas<Short = T>>(
        &self,
        state: &S,
        found: &mut FoundAlive<S>,
    ) -> Result<()> {
        let asking = state.kernel().keys.ask();
        let FoundAlive { live, gathered } = found;
        match self {
            Self::Short(short) => state.relocate_short(asking, short, (live, gathered)),
            Self::Whole(Whole { frame, body }) => {
                state.relocate(asking, &frame.with_body(body), (live, gathered))
            }
        }
    }
}

impl<S: Areas> Cleaner<'_, S> {
    /// Reads a finished segment. `None`: not everything is found in it that memory counts on.
    ///
    /// # Errors
    ///
    /// `Corrupt`, `Io`: the segment cannot be read.
    pub(super) fn scan(&self, number: u64) -> Result<Option<SegmentScan<S::Short>>> {
        let mut scan = SegmentScan { in_order: Vec::new(), others: Vec::new() };
        let (mut counted, mut with_keys) = (0, 0);
        let mut looked = Ok(());
        self.engine
            .log
            .read_segment(number, &mut |frame| {
                // Of a frame that only a newer program can read, memory knows, too.
                let Some(kind) = FrameKind::of(frame) else { return };
                if looked.is_err() {
                    return;
                }
                with_keys += usize::from(S::has_keys(kind));
                let found = {
                    let state = self.engine.state.lock();
                    state.scan(state.kernel().keys.ask(), kind, frame)
                };
                let found = match found {
                    Ok(found) => found,
                    Err(error) => return looked = Err(error),
                };
                match found {
                    Scanned::Whole if kind.goes_in_order() => {
                        scan.in_order.push(Kept::whole(frame));
                    }
                    Scanned::Whole => scan.others.push(Kept::whole(frame)),
                    Scanned::Counted => {
                        counted += 1;
                        scan.others.push(Kept::whole(frame));
                    }
                    Scanned::Short(short) => {
                        counted += 1;
                        scan.others.extend(short.map(Kept::Short));
                    }
                    Scanned::Nothing => {}
                }
            })
            .map_err(|error| self.engine.log_error(error))?;
        looked?;
        let state = self.engine.state.lock();
        // Only cleaning changes which of them are in a finished segment, so when each was looked at
        // does not matter.
        let is_whole = state.counted_in(number) == (counted, with_keys);
        let mut invalid = state.kernel().invalid().iter();
        let has_invalid = invalid.any(|(at, _)| at.place.segment == number);
        Ok((is_whole && !has_invalid).then_some(scan))
    }
}
