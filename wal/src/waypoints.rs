//! Places of every 64th frame of a segment, to find a frame by its LSN. No I/O here.

use crate::fields::FieldDecoder;

/// Frames from one waypoint to the next.
const EVERY: u32 = 64;

/// LSN and offset of some frames of a segment, ascending.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Waypoints(Vec<(u64, u32)>);

impl Waypoints {
    /// With room for those of a segment of usual frames, so that appending does not allocate.
    pub(crate) fn for_segment(segment_bytes: u64) -> Self {
        const USUAL_FRAME_BYTES: u64 = 128;
        let count = segment_bytes / USUAL_FRAME_BYTES / u64::from(EVERY);
        Self(Vec::with_capacity(usize::try_from(count).unwrap_or(0)))
    }

    /// Whether a frame with `index` frames before it in its segment is one of those that are kept.
    pub(crate) fn are_at(index: u32) -> bool {
        index.is_multiple_of(EVERY)
    }

    /// Notes the frame `lsn` at `offset` if it is one of those that are kept; `index` frames are before it
    /// in its segment.
    pub(crate) fn pass(&mut self, index: u32, lsn: u64, offset: u32) {
        if Self::are_at(index) {
            self.0.push((lsn, offset));
        }
    }

    /// Forgets frames from `lsn` on.
    pub(crate) fn forget_from(&mut self, lsn: u64) {
        while self.0.pop_if(|(last, _)| *last >= lsn).is_some() {}
    }

    /// Appends their bytes: a count, then for each how far its LSN is from the segment's first one, and the offset.
    pub(crate) fn encode(&self, first_lsn: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(&u32::try_from(self.0.len()).unwrap_or(u32::MAX).to_le_bytes());
        for (lsn, offset) in &self.0 {
            let delta = u32::try_from(lsn.saturating_sub(first_lsn)).unwrap_or(u32::MAX);
            out.extend_from_slice(&delta.to_le_bytes());
            out.extend_from_slice(&offset.to_le_bytes());
        }
    }

    /// Reads what [`Waypoints::encode`] wrote.
    pub(crate) fn decode(first_lsn: u64, fields: &mut FieldDecoder<'_>) -> Option<Self> {
        let count = usize::try_from(fields.u32()?).ok()?;
        // Not more memory than the bytes that are there vouch for.
        let mut all = Vec::with_capacity(count.min(fields.0.len() / 8));
        for _ in 0..count {
            all.push((first_lsn.checked_add(u64::from(fields.u32()?))?, fields.u32()?));
        }
        Some(Self(all))
    }

    /// The offset of the last noted frame that is not behind `lsn`.
    pub(crate) fn before(&self, lsn: u64) -> Option<u32> {
        let behind = self.0.partition_point(|(noted, _)| *noted <= lsn);
        behind.checked_sub(1).and_then(|at| self.0.get(at)).map(|(_, offset)| *offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_noted_frame_is_found_also_over_gaps() {
        let mut waypoints = Waypoints::default();
        // 300 frames of 40 bytes; 1,000 numbers are missing after the hundredth.
        let lsn = |index: u32| u64::from(index) + if index < 100 { 1 } else { 1_001 };
        for index in 0..300 {
            waypoints.pass(index, lsn(index), 4096 + 40 * index);
        }
        assert_eq!(waypoints.before(0), None);
        for (wanted, index) in
            [(1, 0), (64, 0), (65, 64), (100, 64), (500, 64), (1_129, 128), (9_999, 256)]
        {
            assert_eq!(waypoints.before(wanted), Some(4096 + 40 * index), "LSN {wanted}");
        }
        waypoints.forget_from(lsn(128));
        assert_eq!(waypoints.before(9_999), Some(4096 + 40 * 64));
    }
}
