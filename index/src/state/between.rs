//! The entries of frames that are one behind the other: where the blocks of a slice are in the order of their frames,
//! few of them are looked at.

use std::ops::RangeInclusive;

use super::{Blocks, IndexState};
use crate::{entry::Entry, error::Result, options::Window, slices::SliceId};

/// Shows entries of frames with these LSNs that the slice has which began then. Returns the slice; `None`: none that
/// lives began then.
pub(crate) fn entries_between(
    state: &IndexState,
    (window, begin): (Window, u64),
    lsns: &RangeInclusive<u64>,
    mut show: impl FnMut(Entry),
) -> Result<Option<SliceId>> {
    let Some(id) = state.slices.at(window, begin) else { return Ok(None) };
    let blocks = state.slices.get(id).map_or(&[][..], |slice| &slice.blocks);
    let from = first_behind(&state.blocks, blocks, *lsns.start())?;
    let is_removed = |place: u32| !state.voids.is_empty() && state.voids.contains(&place);
    for block in blocks.get(from..).unwrap_or_default() {
        let Some(of_block) = state.blocks.lsns(*block)? else { continue };
        if of_block.start() > lsns.end() {
            break;
        }
        state.blocks.show(*block, |place, entry| {
            if lsns.contains(&entry.lsn) && !is_removed(place) {
                show(entry);
            }
        })?;
    }
    Ok(Some(id))
}

/// How many of these blocks, which are in the order of their frames, have only entries of frames before this one.
fn first_behind(all: &Blocks, blocks: &[u32], lsn: u64) -> Result<usize> {
    let (mut from, mut to) = (0, blocks.len());
    while from < to {
        let middle = from.midpoint(to);
        let of_block = blocks.get(middle).map_or(Ok(None), |block| all.lsns(*block))?;
        if of_block.is_some_and(|of_block| *of_block.end() < lsn) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(from)
}
