//! The plan of a checkpoint: it writes the entries of frames that are durable and applied.

use std::{collections::BTreeMap, sync::Arc};

use super::IndexState;
use crate::{
    entry::{Entries, Entry},
    files::StoredBlock,
    options::Window,
    slices::{SliceId, SliceInfo},
};

/// The blocks of one slice that go to a file.
#[derive(Debug)]
pub(crate) struct DirtyBlocks {
    pub(crate) slice: SliceId,
    pub(crate) window: Window,
    pub(crate) begin: u64,
    pub(crate) blocks: Vec<(u32, Arc<Entries>)>,
}

/// The blocks that a checkpoint writes, and what its manifest is to say.
#[derive(Debug)]
pub(crate) struct CheckpointPlan {
    /// Every entry of a frame up to and including this LSN is in a file once these blocks are.
    pub(crate) covered: u64,
    pub(crate) dirty: Vec<DirtyBlocks>,
    /// The slices that live. One that is dropped later stays in the files until the next plan: keys
    /// may have been carried out of it into blocks that are not among these.
    pub(crate) slices: BTreeMap<SliceId, SliceInfo>,
}

impl IndexState {
    /// The highest frame up to which no frame can fail any more.
    pub(crate) fn covered(&self) -> u64 {
        if onceward_vfs::planted!("checkpoint-takes-what-may-fail") {
            return self.applied.max(self.reserved.last().unwrap_or(0));
        }
        self.reserved
            .first()
            .map_or(self.applied, |lowest| self.applied.min(lowest.saturating_sub(1)))
    }

    /// Plans a checkpoint, and takes the blocks for it. Entries of frames that may still fail stay behind.
    pub(crate) fn plan_checkpoint(&mut self) -> CheckpointPlan {
        let covered = self.covered();
        let slices: BTreeMap<SliceId, SliceInfo> =
            self.slices.iter().map(|(id, slice)| (id, slice.info(id))).collect();
        let dirty = slices.values().filter_map(|info| self.plan_slice(*info, covered)).collect();
        CheckpointPlan { covered, dirty, slices }
    }

    fn plan_slice(&mut self, info: SliceInfo, covered: u64) -> Option<DirtyBlocks> {
        let SliceInfo { id, window, begin, .. } = info;
        let in_memory = self.slices.get(id)?.in_memory.clone();
        let mut blocks = Vec::new();
        for block in in_memory {
            let unconfirmed = self.blocks.unconfirmed(block, covered);
            if unconfirmed.is_whole || !self.move_away(id, block, &unconfirmed.entries) {
                continue;
            }
            if let Some(entries) = self.blocks.begin_write(block) {
                blocks.push((block, entries));
            }
            if let Some(slice) = self.slices.get_mut(id)
                && slice.filling == Some(block)
            {
                slice.filling = None;
            }
        }
        (!blocks.is_empty()).then_some(DirtyBlocks { slice: id, window, begin, blocks })
    }

    /// Moves entries of a block into another one, which stays in memory. `false`: there is none, and
    /// the block stays as it is.
    fn move_away(&mut self, id: SliceId, block: u32, entries: &[(u32, Entry)]) -> bool {
        let Some((_, first)) = entries.first() else { return true };
        if self.slices.get(id).is_none_or(|slice| slice.filling == Some(block))
            && self.begin_block(id, first.lsn).is_err()
        {
            return false;
        }
        for (place, entry) in entries {
            let Ok(moved) = self.push(id, *entry) else { return false };
            // Its frame may still fail, so its key was judged since opening: the shard is warm.
            if let Some(at) = self.table.slot_at(entry.key, *place) {
                self.table.set_place(entry.key, at, moved);
            }
            self.blocks.void(*place);
            if let Some(slice) = self.slices.get_mut(id) {
                slice.keys -= 1;
            }
        }
        true
    }

    /// Notes that blocks of a slice are in files now.
    pub(crate) fn note_written(&mut self, slice: SliceId, stored: Vec<(u32, StoredBlock)>) {
        for (block, stored) in stored {
            self.blocks.note_written(block, stored);
        }
        let blocks = &self.blocks;
        if let Some(slice) = self.slices.get_mut(slice) {
            slice.in_memory.retain(|block| blocks.key_file_of(*block).is_none());
        }
    }
}
