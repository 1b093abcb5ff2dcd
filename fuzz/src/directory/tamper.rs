//! Damages, moves and forges the files of a log as an input decides.

use onceward_vfs::{Mode, SimVfs, Vfs};
use onceward_wal::{Alignment, fuzzing};

use super::Plan;
use super::logs::{Original, STORE, segment};
use crate::input::{Input, noise};

/// What was done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Tampered {
    /// Bytes of `meta` changed, or it is gone.
    pub(super) meta: bool,
    /// Files of segments are gone or have another name.
    pub(super) names: bool,
    /// A segment's file has the content of another one, or something else.
    pub(super) replaced: bool,
    /// Something stands where a file should be and is none.
    pub(super) in_the_way: bool,
    /// Checksums were made right for what nobody wrote: nothing is true any more, but nothing may
    /// panic or hang.
    pub(super) forged: bool,
}

/// The file of the two slots.
const META: &str = "meta";
/// Offset of the second one.
const SLOT_BYTES: usize = 65_536;

/// Tampers with the log on `disk`. Returns what was done, and what is to follow.
pub(super) fn tamper(
    disk: &SimVfs,
    original: &Original,
    input: &mut Input<'_>,
) -> (Tampered, Plan) {
    let mut done = Tampered::default();
    let flags = input.byte();
    let may_forge = flags % 4 == 0;
    let plan = Plan {
        repairs: flags & 16 != 0,
        alignment: if flags & 32 == 0 { Alignment::Frame } else { Alignment::Block },
    };
    for _ in 0..1 + input.byte() % 6 {
        if input.is_empty() {
            break;
        }
        match input.byte() % 16 {
            0..=6 => bytes(disk, original, input),
            7 | 8 => meta(disk, input, &mut done),
            9 => length(disk, original, input, &mut done),
            10..=12 => names(disk, original, input, &mut done),
            13 => foreign(disk, original, input, &mut done),
            _ if may_forge => forge(disk, original, input, &mut done),
            _ => bytes(disk, original, input),
        }
    }
    (done, plan)
}

impl Tampered {
    /// Whether no file of a log is left.
    pub(super) fn is_gone(&self, disk: &SimVfs) -> bool {
        let no_segment = disk.list("log").is_ok_and(|names| {
            names.iter().all(|name| !name.ends_with(".seg") || disk.bytes(&at(name)).is_none())
        });
        !disk.exists(META).unwrap_or(true) && (no_segment || self.in_the_way)
    }
}

/// The path of a name in the segments' directory.
fn at(name: &str) -> String {
    format!("log/{name}")
}

/// One of the segments' files; none if the log has none.
fn any(original: &Original, input: &mut Input<'_>) -> String {
    let index = input.below(original.segments.len());
    original.segments.get(index).cloned().unwrap_or_default()
}

/// Damage in the bytes of a segment.
fn bytes(disk: &SimVfs, original: &Original, input: &mut Input<'_>) {
    let (name, offset) = match input.byte() % 3 {
        0 => (any(original, input), u64::from(input.byte())),
        1 => (any(original, input), u64::try_from(input.below(1 << 18)).expect("fits")),
        _ => {
            let index = input.below(original.places.len());
            let place = original.places.get(index).cloned().unwrap_or_default();
            (place.0, place.1 + u64::from(input.byte()))
        }
    };
    let Some(content) = disk.bytes(&name) else { return };
    let offset = usize::try_from(offset).expect("fits");
    let sector = offset / 512 * 512;
    let count = (512 * (1 + usize::from(input.byte() % 8))).min(content.len().max(sector) - sector);
    match input.byte() % 4 {
        0 | 1 if offset < content.len() => put(disk, &name, offset, &[content[offset] ^ 4]),
        2 => put(disk, &name, sector, &vec![0; count]),
        _ => put(disk, &name, sector, &noise(3, count)),
    }
}

/// Damage in `meta`.
fn meta(disk: &SimVfs, input: &mut Input<'_>, done: &mut Tampered) {
    let Some(content) = disk.bytes(META).filter(|bytes| bytes.len() == 2 * SLOT_BYTES) else {
        return;
    };
    done.meta = true;
    let slot = usize::from(input.byte() % 2) * SLOT_BYTES;
    match input.byte() % 4 {
        0 => put(disk, META, slot, &vec![0; SLOT_BYTES]),
        1 => put(disk, META, slot, &noise(5, 512)),
        2 => put(disk, META, SLOT_BYTES - slot, &content[slot..slot + SLOT_BYTES]),
        _ => {
            let offset = slot + input.below(200);
            put(disk, META, offset, &[content[offset] ^ 16]);
        }
    }
}

/// A file that is shorter or longer.
fn length(disk: &SimVfs, original: &Original, input: &mut Input<'_>, done: &mut Tampered) {
    let name = if input.byte() % 8 == 0 { META.to_owned() } else { any(original, input) };
    done.meta |= name == META;
    let len = input.below(1 << 19);
    if let Ok(file) = disk.open(&name, Mode::Write) {
        file.set_len(u64::try_from(len).expect("fits")).expect("has room");
        file.sync_data().expect("no fault is planned");
    }
}

/// Files that are gone, have another number, or exist twice.
fn names(disk: &SimVfs, original: &Original, input: &mut Input<'_>, done: &mut Tampered) {
    let name = any(original, input);
    let number = 1 + u64::from(input.byte() % 10);
    let store = if input.byte() % 4 == 0 { [0x11; 16] } else { STORE };
    let to = segment(store, number);
    match input.byte() % 8 {
        0 => {
            done.meta = true;
            disk.remove(META).unwrap_or_default();
        }
        1 => disk.remove("lock").unwrap_or_default(),
        2..=4 => {
            done.names = true;
            disk.remove(&name).unwrap_or_default();
        }
        5 => {
            done.names = true;
            done.replaced = true;
            disk.rename(&name, &to).unwrap_or_default();
        }
        _ => {
            if let (Some(content), true) = (disk.bytes(&name), name != to) {
                done.names |= disk.remove(&to).is_ok();
                done.replaced = true;
                create(disk, &to, &content);
            }
        }
    }
    disk.sync_dir("log").unwrap_or_default();
    disk.sync_dir("").unwrap_or_default();
}

/// What does not belong there.
fn foreign(disk: &SimVfs, original: &Original, input: &mut Input<'_>, done: &mut Tampered) {
    let content = noise(11, usize::from(input.byte()) * 64);
    match input.byte() % 6 {
        0 => create(disk, "log/notes.txt", &content),
        1 => create(disk, "log/ffffffffffffffff-5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a.seg", &content),
        2 => {
            done.replaced = true;
            create(disk, &segment(STORE, 1 + u64::from(input.byte() % 12)), &content);
        }
        3 => create(disk, &segment([0x22; 16], u64::MAX - 1), &content),
        4 => create(disk, "quarantine", &content),
        _ => {
            let name = any(original, input);
            if disk.remove(&name).is_ok() {
                done.in_the_way = true;
                done.names = true;
                disk.create_dir(&name).unwrap_or_default();
            }
        }
    }
    done.in_the_way |= disk.bytes("quarantine").is_some();
    disk.sync_dir("log").unwrap_or_default();
    disk.sync_dir("").unwrap_or_default();
}

/// Fields that nobody wrote, under right checksums.
fn forge(disk: &SimVfs, original: &Original, input: &mut Input<'_>, done: &mut Tampered) {
    done.forged = true;
    let of_meta = input.byte() % 2 == 0;
    let name = if of_meta { META.to_owned() } else { any(original, input) };
    let Some(mut content) = disk.bytes(&name) else { return };
    let slot = if of_meta { usize::from(input.byte() % 2) * SLOT_BYTES } else { 0 };
    for _ in 0..1 + input.byte() % 4 {
        let offset = slot + usize::from(input.byte());
        let with = [0, 1, 0x7f, 0xff, 0x80][usize::from(input.byte() % 5)];
        let count = usize::from(input.byte() % 9);
        let end = (offset + count).min(content.len());
        content[offset.min(end)..end].fill(with);
    }
    let end = content.len().min(slot + SLOT_BYTES);
    let forged = &mut content[slot.min(end)..end];
    if of_meta {
        fuzzing::reseal_slot(forged)
    } else {
        fuzzing::reseal_header(forged)
    }
    put(disk, &name, 0, &content);
}

/// Overwrites bytes of a file, as far as there are any.
fn put(disk: &SimVfs, name: &str, offset: usize, bytes: &[u8]) {
    let len = disk.bytes(name).map_or(0, |content| content.len());
    let count = bytes.len().min(len.saturating_sub(offset));
    if count > 0 {
        disk.overwrite(name, u64::try_from(offset).expect("fits"), &bytes[..count]);
    }
}

/// A new file, durable.
fn create(disk: &SimVfs, name: &str, content: &[u8]) {
    let Ok(file) = disk.open(name, Mode::CreateNew) else { return };
    file.write_all_at(0, content).expect("has room");
    file.sync_data().expect("no fault is planned");
}
