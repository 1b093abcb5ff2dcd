//! Takes keys for frames: one, or many of a call, whose slice is looked up once.

use super::{IndexState, LocatedEntry, Obstacle, PURGED_FOR_ROOM, RoomCheck};
use crate::{entry::Entry, options::Window, slices::SliceId};

/// Keys of one window that are taken at one moment, and what their slice is to be told of them at the end.
#[derive(Debug)]
pub(crate) struct Taking {
    window: Window,
    /// When their slice begins.
    begin: u64,
    /// Whether there is room for all of them.
    room: RoomCheck,
    /// The slice, once a key was taken, and the block that it fills.
    slice: Option<(SliceId, Option<u32>)>,
    /// Keys that were taken and not counted in the slice yet.
    taken: u64,
}

impl Taking {
    /// Begins to take keys of a window at `now`. Until [`Taking::end`] nothing else may happen to the state.
    pub(crate) fn begin(state: &IndexState, (window, now): (Window, u64), room: RoomCheck) -> Self {
        let begin = state.slices.begin_of(window, now);
        Self { window, begin, room, slice: None, taken: 0 }
    }

    /// The window of the keys.
    pub(crate) fn window(&self) -> Window {
        self.window
    }

    /// Counts the keys that were taken in their slice, which each of them holds.
    pub(crate) fn end(self, state: &mut IndexState) {
        if let Some((slice, _)) = self.slice
            && let Some(slice) = state.slices.get_mut(slice)
        {
            slice.keys += self.taken;
            slice.held = slice.held.saturating_add(self.taken);
        }
    }
}

impl IndexState {
    /// Takes a key for the frame `entry.lsn`; `Err` of the known one if it is remembered.
    pub(crate) fn take(
        &mut self,
        taking: &mut Taking,
        entry: Entry,
    ) -> Result<Result<SliceId, LocatedEntry>, Obstacle> {
        let mut free = self.table.vacancy(entry.key);
        if free.is_none()
            && let Some(known) = self.find_entry(entry.key)?
        {
            return Ok(Err(known));
        }
        if taking.room == RoomCheck::Needed && self.check_room(entry.key).is_err() {
            // What slices left behind that were dropped is taken back as it is needed.
            self.purge(PURGED_FOR_ROOM);
            free = None;
            self.check_room(entry.key)?;
        }
        let (slice, mut filling) = match taking.slice {
            Some(of) => of,
            None => {
                let slice = self.slices.open(taking.window, taking.begin);
                (slice, self.slices.get(slice).and_then(|slice| slice.filling))
            }
        };
        let place = self.push_into(&mut filling, slice, entry).map_err(Obstacle::Failed)?;
        taking.slice = Some((slice, filling));
        taking.taken += 1;
        let blocks = &self.blocks;
        let is_live = |place| blocks.is_live(place);
        self.table.put(entry.key, (place, free), blocks.has_dropped().then_some(&is_live));
        self.reserved.insert(entry.lsn);
        Ok(Ok(slice))
    }
}
