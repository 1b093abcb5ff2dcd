//! The entries of frames that are one behind the other: where the blocks of a slice are in the order of their frames,
//! few of them are looked at.

use std::ops::RangeInclusive;

use super::IndexState;
use crate::{entry::Entry, error::Result, options::Window, slices::SliceId};

impl IndexState {
    /// Shows entries of frames with these LSNs that the slice has which began then. Returns the slice; `None`: none
    /// that lives began then.
    pub(crate) fn entries_between(
        &self,
        (window, begin): (Window, u64),
        lsns: &RangeInclusive<u64>,
        mut show: impl FnMut(Entry),
    ) -> Result<Option<SliceId>> {
        let Some(id) = self.slices.at(window, begin) else { return Ok(None) };
        let blocks = self.slices.get(id).map_or(&[][..], |slice| &slice.blocks);
        for block in blocks.get(self.first_behind(blocks, *lsns.start())?..).unwrap_or_default() {
            let Some(of_block) = self.blocks.lsns(*block)? else { continue };
            if of_block.start() > lsns.end() {
                break;
            }
            self.blocks.show(*block, |place, entry| {
                if lsns.contains(&entry.lsn) && !self.is_removed(place) {
                    show(entry);
                }
            })?;
        }
        Ok(Some(id))
    }

    /// How many of these blocks, which are in the order of their frames, have only entries of frames before this one.
    fn first_behind(&self, blocks: &[u32], lsn: u64) -> Result<usize> {
        let (mut from, mut to) = (0, blocks.len());
        while from < to {
            let middle = from.midpoint(to);
            let of_block = blocks.get(middle).map_or(Ok(None), |block| self.blocks.lsns(*block))?;
            if of_block.is_some_and(|of_block| *of_block.end() < lsn) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        Ok(from)
    }

    /// Whether the key at a place in a file was removed.
    fn is_removed(&self, place: u32) -> bool {
        !self.voids.is_empty() && self.voids.contains(&place)
    }
}
