//! Which frames are needed, and by how many. No I/O here.

use std::collections::BTreeMap;

use crate::base::Located;

/// Frames that are needed: by segment and offset, with how many items need each.
#[derive(Clone, Debug, Default)]
pub(super) struct Places(BTreeMap<(u64, u32), u32>);

impl Places {
    /// One more item needs this frame.
    pub(super) fn add(&mut self, at: &Located) {
        *self.0.entry(place(at)).or_default() += 1;
    }

    /// Counts one fewer at this place.
    pub(super) fn remove(&mut self, at: &Located) {
        if let Some(count) = self.0.get_mut(&place(at)) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&place(at));
            }
        }
    }

    /// Whether any item needs this frame.
    pub(super) fn has(&self, at: &Located) -> bool {
        self.0.contains_key(&place(at))
    }

    /// How many frames of a segment are needed.
    pub(super) fn count(&self, segment: u64) -> usize {
        self.0.range((segment, 0)..=(segment, u32::MAX)).count()
    }

    /// The segment is gone.
    pub(super) fn forget(&mut self, segment: u64) {
        self.0.retain(|(of, _), _| *of != segment);
    }
}

fn place(at: &Located) -> (u64, u32) {
    (at.place.segment, at.place.offset)
}
