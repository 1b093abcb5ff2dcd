//! Whether the store is left, and whose bundles it imported. No I/O, no clock, no lock here.

use std::collections::BTreeMap;

use super::BundleId;
use super::frames::{FenceFrame, ImportFrame};
use crate::base::bounds::IMPORTS_KEPT;
use crate::base::{Error, ErrorKind, Located, Result};
use crate::kernel::{Area, Kernel};

/// What the newest frames say.
#[derive(Clone, Debug, Default)]
pub(crate) struct RescueTable {
    /// The newest fence frame, and where it is now.
    fence: Option<(FenceFrame, Located)>,
    /// A fence is about to be written: nothing new may come behind it.
    is_closing: bool,
    /// Bundles that were imported, by the LSN of their first frame.
    imports: BTreeMap<u64, (ImportFrame, Located)>,
}

impl RescueTable {
    /// The fence that is up.
    pub(crate) fn fence(&self) -> Option<&FenceFrame> {
        self.fence.as_ref().map(|(fence, _)| fence).filter(|fence| fence.is_up)
    }

    /// Bundles that were imported, oldest first.
    pub(crate) fn imports(&self) -> impl DoubleEndedIterator<Item = &ImportFrame> {
        self.imports.values().map(|(import, _)| import)
    }

    /// Whether what the frame there says still counts.
    pub(super) fn has(&self, at: &Located) -> bool {
        self.places().any(|place| place == at)
    }

    /// Whether the store is about to be left, from when on nothing new is taken.
    #[cfg(feature = "rescue")]
    pub(super) fn set_closing(&mut self, is_closing: bool) {
        self.is_closing = is_closing;
    }

    /// Refuses what a store that is left does not do.
    ///
    /// # Errors
    ///
    /// `Fenced`.
    pub(crate) fn refuse_if_fenced(&self) -> Result<()> {
        let message = match self.fence() {
            Some(fence) => format!(
                "the store is left: what it did not deliver is in the bundle {}; `unfence` opens it \
                 again, if that was imported nowhere",
                BundleId(fence.bundle)
            ),
            None if self.is_closing => "the store is about to be left".to_owned(),
            None => return Ok(()),
        };
        Err(Error::new(ErrorKind::Fenced, "STORE_FENCED", message))
    }

    fn places(&self) -> impl Iterator<Item = &Located> {
        let fence = self.fence.as_ref().map(|(_, at)| at);
        fence.into_iter().chain(self.imports.values().map(|(_, at)| at))
    }

    /// The store is left, or not any more. Of two frames that say the same, the later one applies.
    pub(crate) fn apply_fence(&mut self, fence: &FenceFrame, at: Located) {
        let number = if fence.number == 0 { at.lsn } else { fence.number };
        if self.fence.is_none_or(|(now, _)| now.number <= number) {
            self.fence = Some((FenceFrame { number, ..*fence }, at));
        }
    }

    /// A bundle was imported.
    pub(crate) fn apply_import(&mut self, import: &ImportFrame, at: Located) {
        let number = if import.number == 0 { at.lsn } else { import.number };
        self.imports.insert(number, (ImportFrame { number, ..*import }, at));
        if self.imports.len() > IMPORTS_KEPT {
            self.imports.pop_first();
        }
    }
}

impl Area for RescueTable {
    fn forget_segment(&mut self, _kernel: &mut Kernel, segment: u64) {
        let is_there = |at: &Located| at.place.segment != segment;
        self.fence = self.fence.filter(|(_, at)| is_there(at));
        self.imports.retain(|_, (_, at)| is_there(at));
    }

    fn is_left_in(&self, segment: u64) -> bool {
        self.places().any(|at| at.place.segment == segment)
    }
}
