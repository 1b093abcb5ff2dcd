//! Damages the files of an index as an input decides.

use onceward_index::{ReadMode, Until};
use onceward_vfs::{Mode, SimVfs, Vfs};

use super::{DIR, caller::Caller, forge, start};
use crate::input::{Input, noise};

/// What was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Damage {
    /// Nothing.
    None,
    /// What checksums, names and lengths tell.
    Plain,
    /// Checksums were made right for what nobody wrote.
    Forged,
}

/// The secret of another store.
const THEIRS: [u8; 16] = [2; 16];

/// Damages the files on a disk. Returns the disk to go on with.
pub(super) fn damage(disk: SimVfs, caller: &Caller, input: &mut Input<'_>) -> (SimVfs, Damage) {
    let mut done = Damage::None;
    let is_forgery = input.byte() % 2 == 0;
    for _ in 0..input.byte() % 5 {
        if input.is_empty() {
            break;
        }
        let is_done =
            if is_forgery { forge::forge(&disk, input) } else { plain(&disk, caller, input) };
        if is_done {
            done = if is_forgery { Damage::Forged } else { Damage::Plain };
        }
    }
    (disk, done)
}

/// The index's files.
pub(super) fn files(disk: &SimVfs) -> Vec<String> {
    let mut names = disk.list(DIR).unwrap_or_default();
    names.iter_mut().for_each(|name| *name = format!("{DIR}/{name}"));
    names
}

/// One of the files, and its content.
fn any(disk: &SimVfs, input: &mut Input<'_>) -> Option<(String, Vec<u8>)> {
    let files = files(disk);
    let name = files.get(input.below(files.len()))?.clone();
    let content = disk.bytes(&name)?;
    Some((name, content))
}

/// Damages one file. Returns whether it did.
fn plain(disk: &SimVfs, caller: &Caller, input: &mut Input<'_>) -> bool {
    let Some((name, content)) = any(disk, input) else { return false };
    match input.byte() % 12 {
        0..=4 => flip(disk, &name, &content, input),
        5 => {
            let offset = place(&content, input) / 512 * 512;
            let count = content.len().saturating_sub(offset).min(512);
            let zeros = input.byte() % 2 == 0;
            let with = if zeros { vec![0; count] } else { noise(3, count) };
            put(disk, &name, offset, &with);
        }
        6 | 7 => {
            let file = disk.open(&name, Mode::Write).expect("is there");
            let len = u64::try_from(place(&content, input)).expect("fits");
            let longer = u64::try_from(content.len()).expect("fits") + 1 + len;
            file.set_len(if input.byte() % 2 == 0 { len } else { longer }).expect("has room");
            file.sync_data().expect("no fault is planned");
        }
        8 | 9 => disk.remove(&name).expect("is there"),
        10 => {
            let Some((other, others)) = any(disk, input) else { return false };
            replace(disk, &name, &others);
            replace(disk, &other, &content);
        }
        _ => replace(disk, &name, &foreign(caller, &name, input)),
    }
    disk.sync_dir(DIR).unwrap_or_default();
    true
}

/// A place in a file; the ends of it more often.
fn place(content: &[u8], input: &mut Input<'_>) -> usize {
    let offset = match input.byte() % 3 {
        0 => usize::from(input.byte()),
        1 => content.len().saturating_sub(1 + usize::from(input.byte())),
        _ => input.below(content.len()),
    };
    offset.min(content.len().saturating_sub(1))
}

fn flip(disk: &SimVfs, name: &str, content: &[u8], input: &mut Input<'_>) {
    let offset = place(content, input);
    if offset < content.len() {
        let bit = 1 << (input.byte() % 8);
        put(disk, name, offset, &[content[offset] ^ bit]);
    }
}

/// A file of another store that did the same, or noise where it has none of the name.
fn foreign(caller: &Caller, name: &str, input: &mut Input<'_>) -> Vec<u8> {
    let disk = SimVfs::new();
    let index = start(&disk, THEIRS, ReadMode::Positioned).expect("the disk works").index;
    let mut caller = caller.clone();
    caller.tell(&index, 0).expect("no damage");
    index.checkpoint(0, Until::Close).expect("the disk works");
    let others = files(&disk);
    let kind = name.split('-').next().unwrap_or_default();
    let same = disk
        .bytes(name)
        .or_else(|| disk.bytes(others.iter().find(|other| other.starts_with(kind))?));
    same.unwrap_or_else(|| noise(5, input.below(4_096)))
}

/// Gives a file another content.
pub(super) fn replace(disk: &SimVfs, name: &str, content: &[u8]) {
    disk.remove(name).unwrap_or_default();
    let file = disk.open(name, Mode::CreateNew).expect("was removed");
    file.write_all_at(0, content).expect("has room");
    file.sync_data().expect("no fault is planned");
    disk.sync_dir(DIR).expect("is there");
}

/// Overwrites bytes of a file, as far as there are any.
fn put(disk: &SimVfs, name: &str, offset: usize, bytes: &[u8]) {
    if !bytes.is_empty() {
        disk.overwrite(name, u64::try_from(offset).expect("fits"), bytes);
    }
}
