//! What happened to an index before it was damaged, as an input decides.

use onceward_index::{Index, ReadMode, Until};
use onceward_vfs::{SimVfs, Survival};

use super::{
    OURS,
    caller::{Caller, Fate, KEYS, WINDOW_MS},
    start,
};
use crate::input::Input;

/// Keys that come at once: more than a block holds.
const BULK: u16 = 300;

/// Plays a history. Returns the disk as a power cut leaves it, and what is true.
pub(super) fn play(input: &mut Input<'_>) -> (Caller, SimVfs) {
    let mut disk = SimVfs::new();
    let mut caller = Caller::new(1_000_000);
    let mut index = reopened(&disk, &mut caller);
    let mut bulks = 0;
    for _ in 0..input.byte() % 48 {
        if input.is_empty() {
            break;
        }
        match input.byte() % 17 {
            0..=5 => take(&mut caller, &index, input),
            6 | 7 => caller.settle(&index, input.byte().into()),
            8 => caller.release(&index, u16::from(input.byte()) % KEYS).expect("no damage"),
            9 => caller.now += u64::from(input.byte()) * WINDOW_MS / 64,
            10 | 11 => caller.expire(&index).expect("no damage"),
            12 => checkpoint(&index, Until::Later),
            13 => checkpoint(&index, Until::Close),
            14 => {
                disk = cut(&disk, index, &mut caller, input);
                index = reopened(&disk, &mut caller);
            }
            15 if bulks < 2 => {
                bulks += 1;
                for nth in 0..BULK {
                    // Of the first two kinds only: many keys with one tag would all be looked at.
                    let key = bulks * 4_000 + 4 * nth + nth % 2;
                    caller.take(&index, key, Fate::Stored).expect("no damage");
                    caller.settle_last(&index);
                }
            }
            _ => {
                let fate = if input.byte() % 3 == 0 { Fate::Failed } else { Fate::Stored };
                caller.decide_next(&index, fate).expect("no damage");
            }
        }
    }
    match input.byte() % 4 {
        0 => {}
        1 => checkpoint(&index, Until::Later),
        _ => checkpoint(&index, Until::Close),
    }
    let disk = cut(&disk, index, &mut caller, input);
    (caller, disk)
}

fn take(caller: &mut Caller, index: &Index, input: &mut Input<'_>) {
    let (key, fate) = (u16::from(input.byte()) % KEYS, input.byte());
    let then = match fate % 5 {
        0 => Fate::Failed,
        1 => Fate::Open,
        _ => Fate::Stored,
    };
    caller.take(index, key, then).expect("no damage");
    if fate % 5 == 4 {
        caller.settle_last(index);
    }
}

fn checkpoint(index: &Index, until: Until) {
    index.checkpoint(7, until).expect("the disk works");
}

/// The disk after a power cut.
fn cut(disk: &SimVfs, index: Index, caller: &mut Caller, input: &mut Input<'_>) -> SimVfs {
    let after = disk.after_power_cut(&Survival::Nothing);
    drop(index);
    caller.decide_all(input.byte());
    after
}

/// The index, opened and told what it must be told.
fn reopened(disk: &SimVfs, caller: &mut Caller) -> Index {
    let opened = start(disk, OURS, ReadMode::Positioned).expect("the disk works");
    assert_eq!(opened.index.discarded(), None);
    caller.tell(&opened.index, opened.covered).expect("no damage");
    opened.index
}
