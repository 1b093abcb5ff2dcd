//! A whole index on a simulated disk: the target `open_index`.

mod caller;
mod damage;
mod forge;
mod history;

use std::sync::Arc;

use onceward_index::{
    Error, ErrorKind, Index, Location, OpenedIndex, Options, ReadMode, Secret, Until,
};
use onceward_vfs::{SimVfs, Survival};

use crate::input::Input;
use caller::Caller;
use damage::Damage;

/// The index's directory.
const DIR: &str = "index";
/// The store's secret.
const OURS: [u8; 16] = [1; 16];
/// Most that an index as small as these takes from the heap at a time, whatever its files say.
const HELD_MAX: u64 = 128 * 1024 * 1024;

/// What is taken from the heap.
#[derive(Clone, Copy, Debug)]
pub struct Heap {
    /// Begins to watch; returns how many bytes are taken now.
    pub watch: fn() -> u64,
    /// Most that were taken at a time since.
    pub most: fn() -> u64,
}

/// Runs one input.
///
/// # Panics
///
/// If the index breaks a promise.
pub fn open(data: &[u8], heap: Heap) {
    let mut input = Input(data);
    let (mut caller, disk) = history::play(&mut input);
    let reading = if input.byte() % 2 == 0 { ReadMode::Mapped } else { ReadMode::Positioned };
    let (disk, damage) = damage::damage(disk, &caller, &mut input);
    let before = (heap.watch)();
    if damage == Damage::Forged {
        stays_calm(&disk, caller, reading);
    } else {
        is_right_or_says_so(&disk, &mut caller, reading, damage);
    }
    let held = (heap.most)() - before;
    assert!(held <= HELD_MAX, "{held} bytes were taken from the heap at a time");
}

/// Opens the index on a disk.
fn start(disk: &SimVfs, secret: [u8; 16], reading: ReadMode) -> Result<OpenedIndex, Error> {
    let options = Options { slice_count: 2, carry_max: 4, reading, ..Options::default() };
    Index::open(location(disk), &Secret::from_bytes(secret), options)
}

/// Where it is.
fn location(disk: &SimVfs) -> Location {
    Location { vfs: Arc::new(disk.clone()), dir: DIR.to_owned() }
}

/// Whatever bytes are not what was written: an answer is right, or there is none.
fn is_right_or_says_so(disk: &SimVfs, caller: &mut Caller, reading: ReadMode, damage: Damage) {
    let opened = start(disk, OURS, reading).expect("files are discarded, not refused");
    if let Some(discarded) = opened.index.discarded() {
        assert_eq!(damage, Damage::Plain, "nothing is wrong: {discarded:?}");
        assert_eq!(opened.covered, 0, "{discarded:?}");
    }
    match works(&opened, caller) {
        Ok(()) => {}
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert_eq!(damage, Damage::Plain, "nothing is wrong: {error}");
            return begins_again(disk, caller, reading);
        }
    }
    drop(opened);
    let disk = disk.after_power_cut(&Survival::Nothing);
    let opened = start(&disk, OURS, reading).expect("files are discarded, not refused");
    if damage == Damage::None {
        assert_eq!(opened.index.discarded(), None);
    }
    match works(&opened, caller) {
        Ok(()) => {}
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
            assert_eq!(damage, Damage::Plain, "nothing is wrong: {error}");
            begins_again(&disk, caller, reading);
        }
    }
}

/// Discards the files: then all is right.
fn begins_again(disk: &SimVfs, caller: &mut Caller, reading: ReadMode) {
    let location = location(disk);
    onceward_index::discard(&*location.vfs, &location.dir).expect("the disk works");
    let disk = disk.after_power_cut(&Survival::Nothing);
    let opened = start(&disk, OURS, reading).expect("the disk works");
    assert_eq!((opened.index.discarded(), opened.covered), (None, 0));
    works(&opened, caller).expect("the files are new");
}

/// Tells an index the log, and does with it all that can be done.
fn works(opened: &OpenedIndex, caller: &mut Caller) -> Result<(), Error> {
    let index = &opened.index;
    assert!(opened.covered <= caller.last_lsn(), "{} is covered", opened.covered);
    caller.tell(index, opened.covered)?;
    caller.must_be_right(index)?;
    caller.now += caller::WINDOW_MS;
    caller.expire(index)?;
    caller.must_be_right(index)?;
    caller.take(index, 3, caller::Fate::Stored)?;
    index.checkpoint(1, Until::Close)?;
    index.warm(64)?;
    caller.must_be_right(index)
}

/// After a forgery nothing is true; but nothing panics, takes all memory, or goes on for ever.
fn stays_calm(disk: &SimVfs, mut caller: Caller, reading: ReadMode) {
    for _ in 0..2 {
        let Ok(opened) = start(disk, OURS, reading) else { return };
        caller.work_without_judging(&opened.index, opened.covered);
        for until in [Until::Later, Until::Close] {
            let _told = opened.index.checkpoint(0, until);
        }
        let _left = opened.index.warm(64);
        let _told = format!("{:?} {}", opened.index, opened.index.len());
    }
}
