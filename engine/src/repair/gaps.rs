//! Which numbers are missing where bytes are damaged. No I/O here.

use onceward_wal::{Frame, SegmentInfo};

use super::LostRange;
use crate::Lsn;
use crate::report::Damage;

/// Places of a log where one frame does not follow the other at once.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// The frame that was passed last.
    last: Option<Spot>,
    between: Vec<(Option<Spot>, Spot)>,
}

/// Where a frame stands.
#[derive(Clone, Copy, Debug)]
struct Spot {
    segment: u64,
    /// Its first byte, and the one behind it.
    offset: u64,
    end: u64,
    lsn: u64,
}

impl Gaps {
    /// Passes the next frame of the log.
    pub(super) fn pass(&mut self, frame: &Frame<'_>) {
        let offset = u64::from(frame.place.offset);
        let end = offset.saturating_add(u64::try_from(frame.bytes()).unwrap_or(u64::MAX));
        let spot = Spot { segment: frame.place.segment, offset, end, lsn: frame.lsn.get() };
        let follows = self.last.is_some_and(|last| {
            (last.segment, last.end) == (spot.segment, offset) && last.lsn + 1 == spot.lsn
        });
        if !follows {
            self.between.push((self.last, spot));
        }
        self.last = Some(spot);
    }

    /// The numbers that damage in `segment` took; `None` if no frame is missing there.
    pub(super) fn lost(
        &self,
        segment: u64,
        damage: &Damage,
        segments: &[SegmentInfo],
    ) -> Option<LostRange> {
        let info = segments.iter().find(|info| info.number == segment);
        if damage.length > 0 && info.is_some_and(|info| damage.offset >= info.file_bytes) {
            // Bytes that the file should have. If frames are missing there, that is told besides.
            return None;
        }
        let at = (segment, damage.offset);
        let (before, after) = self.around(at)?;
        let before_lsn = before.map_or(0, |spot| spot.lsn);
        let first = match info {
            Some(info) if before.is_none_or(|spot| spot.segment != segment) => info.first_lsn,
            Some(_) | None => before_lsn + 1,
        };
        let last = match after {
            Some(after) if after.segment == segment => Some(after.lsn.saturating_sub(1)),
            Some(_) | None => {
                let next = segments.iter().find(|info| info.number > segment);
                next.map(|next| next.first_lsn.saturating_sub(1))
            }
        };
        if last.is_some_and(|last| last < first) {
            return None;
        }
        Some(LostRange { first: Lsn::from_u64(first)?, last: last.and_then(Lsn::from_u64) })
    }

    /// The frames before and after a place that is in no frame and not between two that follow each other.
    fn around(&self, at: (u64, u64)) -> Option<(Option<Spot>, Option<Spot>)> {
        let is_behind = |spot: &Option<Spot>| spot.is_none_or(|s| (s.segment, s.end) <= at);
        let found = self
            .between
            .iter()
            .find(|(before, after)| is_behind(before) && at < (after.segment, after.offset));
        match found {
            Some((before, after)) => Some((*before, Some(*after))),
            None => is_behind(&self.last).then_some((self.last, None)),
        }
    }
}

/// The same numbers in ascending ranges that do not touch.
pub(super) fn merged(mut ranges: Vec<LostRange>) -> Vec<LostRange> {
    ranges.sort_by_key(|range| range.first);
    let mut merged: Vec<LostRange> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(LostRange { last: None, .. }) => {}
            Some(LostRange { last: Some(last), .. })
                if range.first.get() <= last.get().saturating_add(1) =>
            {
                if range.last.is_none_or(|end| end > *last)
                    && let Some(open) = merged.last_mut()
                {
                    open.last = range.last;
                }
            }
            Some(_) | None => merged.push(range),
        }
    }
    merged
}
