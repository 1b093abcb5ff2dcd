//! Keys at chosen spots of the table, and one call for each thing that is done to an index.
//! Method: shard, tag and rest of a key are given, so that a test says which keys meet in the table.

pub(crate) mod slot;

use std::sync::Arc;

use onceward_index::{
    ContentHash, Entry, Fingerprint, Index, Location, OpenedIndex, Options, ReadMode, Reserved,
    Secret, SliceId, Window, WindowStart,
};
use onceward_vfs::{SimVfs, Survival, Vfs};

/// The index's directory.
pub(crate) const DIR: &str = "index";
pub(crate) const MINUTE: u64 = 60_000;

/// A minute from the settlement.
pub(crate) fn from_settle() -> Window {
    Window::new(MINUTE, WindowStart::FromSettle).unwrap()
}

/// A minute from the capture.
pub(crate) fn from_capture() -> Window {
    Window::new(MINUTE, WindowStart::FromCapture).unwrap()
}

/// A known content, another one for each number.
pub(crate) fn content(n: u64) -> ContentHash {
    ContentHash::from_u64(n + 1)
}

/// A key in a shard, with a tag, that `n` tells from others.
pub(crate) fn key(shard: u128, tag: u128, n: u64) -> Fingerprint {
    Fingerprint::from_u128(shard << 116 | tag << 100 | u128::from(n))
}

/// Keys all over the table.
pub(crate) fn scattered(n: u64) -> Fingerprint {
    let mut x = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mix = || {
        x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = x;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u128::from(z ^ (z >> 31))
    };
    Fingerprint::from_u128(mix() << 64 | mix())
}

/// Six slices a window, and files that are read at positions.
pub(crate) fn options() -> Options {
    Options { slice_count: 6, reading: ReadMode::Positioned, ..Options::default() }
}

pub(crate) fn secret() -> Secret {
    Secret::from_bytes([1; 16])
}

/// The location of the index on a disk.
pub(crate) fn location(vfs: impl Vfs + 'static) -> Location {
    Location { vfs: Arc::new(vfs), dir: DIR.to_owned() }
}

pub(crate) fn open_with(vfs: impl Vfs + 'static, options: Options) -> OpenedIndex {
    Index::open(location(vfs), &secret(), options).unwrap()
}

pub(crate) fn open(disk: &SimVfs) -> OpenedIndex {
    open_with(disk.clone(), options())
}

/// The disk after a crash that took everything that was not synced.
pub(crate) fn crashed(disk: &SimVfs) -> SimVfs {
    disk.after_power_cut(&Survival::Nothing)
}

/// Reserves a key that is not known; its frame stays in flight.
pub(crate) fn reserve(
    index: &Index,
    key: Fingerprint,
    lsn: u64,
    window: Window,
    now: u64,
) -> SliceId {
    let entry = Entry { key, content: content(lsn), lsn };
    match index.reserve(entry, window, now).unwrap() {
        Reserved::Taken(slice) => slice,
        Reserved::Known(found) => panic!("{key:?} is known: {found:?}"),
    }
}

/// Reserves and confirms.
pub(crate) fn take(index: &Index, key: Fingerprint, lsn: u64, window: Window, now: u64) -> SliceId {
    let slice = reserve(index, key, lsn, window, now);
    index.confirm(lsn);
    slice
}
