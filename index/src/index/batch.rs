//! Many keys at once: the memory is asked for all of them before any is judged.

use super::{Index, found};
use crate::{
    answer::{Lookup, Reserved},
    entry::Entry,
    error::Result,
    fingerprint::{ContentHash, Fingerprint},
    options::Window,
    state::{IndexState, Obstacle, RoomCheck},
    table::ControlBytes,
};

/// Keys that are looked at together: their control bytes fit the nearest cache.
const TOGETHER: usize = 64;

impl Index {
    /// Judges many keys, as [`Index::lookup`] each: the verdicts, in their order, are appended to
    /// `verdicts`. All are judged at one moment.
    ///
    /// # Errors
    ///
    /// As [`Index::lookup`]; `verdicts` is as it was.
    pub fn lookup_batch(
        &self,
        keys: &[(Fingerprint, ContentHash)],
        verdicts: &mut Vec<Lookup>,
    ) -> Result<()> {
        let before = verdicts.len();
        let judged = self.state.fill(verdicts, |state, verdicts| {
            verdicts.truncate(before);
            verdicts.reserve(keys.len());
            for some in keys.chunks(TOGETHER) {
                let controls = first_controls(state, some.iter().map(|(key, _)| *key));
                for ((key, content), control) in some.iter().zip(controls) {
                    let known = state.find_after(*key, control)?;
                    verdicts.push(known.map_or(Lookup::New, |known| found(known).judge(*content)));
                }
            }
            Ok(())
        });
        if judged.is_err() {
            verdicts.truncate(before);
        }
        judged
    }

    /// Reserves many keys, as [`Index::reserve`] each, in their order: of two with the same key the
    /// second one is known. Nobody sees some of them taken and others not.
    ///
    /// # Errors
    ///
    /// As [`Index::reserve`]. Keys before the one that failed are reserved, and are in `reserved`.
    pub fn insert_batch(
        &self,
        entries: &[Entry],
        window: Window,
        now: u64,
        reserved: &mut Vec<Reserved>,
    ) -> Result<()> {
        let before = reserved.len();
        loop {
            let mut state = self.state.write();
            let done = reserved.len() - before;
            let obstacle = match insert_some(&mut state, entries, done, (window, now), reserved) {
                Ok(()) => return Ok(()),
                Err(obstacle) => obstacle,
            };
            drop(state);
            self.state.load(obstacle)?;
        }
    }

    /// Notes that many frames, for which keys were reserved, are durable.
    pub fn confirm_batch(&self, lsns: impl IntoIterator<Item = u64>) {
        let mut state = self.state.write();
        let mut lsns = lsns.into_iter();
        let Some(mut first) = lsns.next() else { return };
        let mut last = first;
        for lsn in lsns {
            if last.checked_add(1) != Some(lsn) {
                state.confirm(first, last);
                first = lsn;
            }
            last = lsn;
        }
        state.confirm(first, last);
    }
}

/// The control bytes that the search for each of these keys sees first.
fn first_controls(
    state: &IndexState,
    keys: impl Iterator<Item = Fingerprint>,
) -> [Option<ControlBytes>; TOGETHER] {
    let mut controls = [None; TOGETHER];
    for (control, key) in controls.iter_mut().zip(keys) {
        *control = state.table.first_control(key);
    }
    controls
}

/// Reserves the keys from `done` on, until one needs a shard.
fn insert_some(
    state: &mut IndexState,
    entries: &[Entry],
    done: usize,
    (window, now): (Window, u64),
    reserved: &mut Vec<Reserved>,
) -> std::result::Result<(), Obstacle> {
    let left = entries.get(done..).unwrap_or_default();
    let room =
        if state.check_room_for(left.len()).is_ok() { RoomCheck::Done } else { RoomCheck::Needed };
    let begin = state.slices.begin_of(window, now);
    for some in left.chunks(TOGETHER) {
        // Only to have the memory fetch all of them at once, control bytes first, then slots: each is
        // judged anew.
        std::hint::black_box(first_controls(state, some.iter().map(|entry| entry.key)));
        for entry in some {
            std::hint::black_box(state.table.first_free(entry.key));
        }
        for entry in some {
            reserved.push(match state.reserve(*entry, (window, begin), room)? {
                Ok(slice) => Reserved::Taken(slice),
                Err(known) => Reserved::Known(found(known)),
            });
        }
    }
    Ok(())
}
