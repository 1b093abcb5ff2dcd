//! Whether the store is left, and whose bundles it took up. No I/O, no clock, no lock here.

use std::collections::BTreeMap;

use super::{Located, View};
use crate::frames::leaving::{Fence, Import};
use crate::frames::{KIND_FENCE, KIND_IMPORT};
use crate::limits::IMPORTS_KEPT;

/// What the newest frames say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leaving {
    /// The newest fence frame, and where it stands now.
    fence: Option<(Fence, Located)>,
    /// A fence is about to be written: nothing new may come behind it.
    pub(crate) is_closing: bool,
    /// Bundles that were taken up, by the LSN of their first frame.
    imports: BTreeMap<u64, (Import, Located)>,
}

impl Leaving {
    /// The fence that is up.
    pub(crate) fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref().map(|(fence, _)| fence).filter(|fence| fence.is_up)
    }

    /// Bundles that were taken up, oldest first.
    pub(crate) fn imports(&self) -> impl DoubleEndedIterator<Item = &Import> {
        self.imports.values().map(|(import, _)| import)
    }

    /// Whether what the frame there says still counts.
    pub(crate) fn has(&self, at: &Located) -> bool {
        self.places().any(|place| place == at)
    }

    /// How many frames of a segment it counts on.
    pub(crate) fn known_frames(&self, segment: u64) -> usize {
        self.places().filter(|at| at.place.segment == segment).count()
    }

    /// Forgets what stood in a segment that is gone: what still counts was carried.
    pub(super) fn forget_segment(&mut self, segment: u64) {
        let is_there = |at: &Located| at.place.segment != segment;
        self.fence = self.fence.filter(|(_, at)| is_there(at));
        self.imports.retain(|_, (_, at)| is_there(at));
    }

    fn places(&self) -> impl Iterator<Item = &Located> {
        let fence = self.fence.as_ref().map(|(_, at)| at);
        fence.into_iter().chain(self.imports.values().map(|(_, at)| at))
    }
}

impl View {
    /// The store is left, or not any more. Of two frames that say the same, the later one stands for it.
    pub(crate) fn apply_fence(&mut self, fence: &Fence, at: Located) {
        let number = if fence.number == 0 { at.lsn } else { fence.number };
        if self.leaving.fence.is_none_or(|(now, _)| now.number <= number) {
            self.leaving.fence = Some((Fence { number, ..*fence }, at));
        }
    }

    /// A bundle was taken up.
    pub(crate) fn apply_import(&mut self, import: &Import, at: Located) {
        let number = if import.number == 0 { at.lsn } else { import.number };
        self.leaving.imports.insert(number, (Import { number, ..*import }, at));
        if self.leaving.imports.len() > IMPORTS_KEPT {
            self.leaving.imports.pop_first();
        }
    }

    /// Cleaning carried a frame of these.
    pub(super) fn moved_in_leaving(&mut self, kind: u8, of: u64, at: Located) {
        match kind {
            KIND_FENCE => {
                if let Some((_, now)) = self.leaving.fence.as_mut().filter(|it| it.0.number == of) {
                    *now = at;
                }
            }
            KIND_IMPORT => {
                if let Some((_, now)) = self.leaving.imports.get_mut(&of) {
                    *now = at;
                }
            }
            _ => {}
        }
    }
}
