//! Durable appends in the ways that are measured, and what the disk can do for as many bytes.

use std::hint::black_box;

use onceward_wal::{NewFrame, Purpose};

use super::events::FRAME_BYTES;
use super::stock::Stock;
use crate::gathering::Gathering;
use crate::pairing::{Extent, Slice};
use crate::raw::RawFile;
use crate::threads::in_threads;

/// One writer, one event for each sync.
///
/// # Panics
///
/// If the log refuses.
pub fn lone(stock: &Stock<'_>, extent: Extent) -> Slice {
    stock.in_room(extent, FRAME_BYTES, |extent| {
        extent.of(1, |number| {
            stock.append(number);
        })
    })
}

/// `writers` threads, each of which appends an event, waits until it is durable, and so on. A piece of work is
/// one event of each.
///
/// # Panics
///
/// If the log refuses.
pub fn writers(stock: &Stock<'_>, writers: usize, extent: Extent) -> Slice {
    stock.in_room(extent, writers * FRAME_BYTES, |extent| {
        in_threads(writers, |thread| {
            extent.count(|round| {
                stock.append(round * writers + thread);
            })
        })
    })
}

/// The floor of [`writers`]: as many threads commit the frames in `bytes`.
///
/// # Panics
///
/// If the disk refuses.
pub fn gathered(gathering: &Gathering, bytes: &[u8], writers: usize, extent: Extent) -> Slice {
    let frames: Vec<&[u8]> = bytes.chunks_exact(FRAME_BYTES).collect();
    in_threads(writers, |thread| {
        extent.count(|round| {
            let frame = frames[(round * writers + thread) % frames.len()];
            gathering.commit(black_box(frame)).unwrap();
        })
    })
}

/// One writer that appends all of `frames` as one commit.
///
/// # Panics
///
/// If the log refuses.
pub fn batches(stock: &Stock<'_>, frames: &[NewFrame<'_>], extent: Extent) -> Slice {
    let count = frames.len();
    stock.in_room(extent, count * FRAME_BYTES, |extent| {
        extent.of(count, |_| {
            stock.log.append_batch(black_box(frames), 0, Purpose::Capture).unwrap();
        })
    })
}

/// The raw limit: the `bytes` of so many `events` with one `pwrite` and one sync.
///
/// # Panics
///
/// If the disk refuses.
pub fn raw(raw: &mut RawFile, bytes: &[u8], events: usize, extent: Extent) -> Slice {
    extent.of(events, |_| raw.write_synced(black_box(bytes)).unwrap())
}
