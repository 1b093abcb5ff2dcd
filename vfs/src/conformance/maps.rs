//! Checks of [`Vfs::map`]. A tree without maps, which says so each time, passes them all.

use std::io::{self, ErrorKind};

use super::{expect, expect_kind, expect_refusal};
use crate::{Map, Mode, Vfs, replace};

/// More than a page, and no multiple of one.
const MAPPED_BYTES: usize = 10_007;

/// The map, or `None` from a tree that has no maps.
fn map(vfs: &dyn Vfs, name: &str) -> io::Result<Option<Map>> {
    match vfs.map(name) {
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
        mapped => mapped.map(Some),
    }
}

/// Bytes that differ from place to place.
fn content() -> Vec<u8> {
    (0..=u8::MAX).cycle().take(MAPPED_BYTES).collect()
}

/// Maps a file, in the root and in a directory.
pub(super) fn map_is_the_whole_file(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.create_dir("dir")?;
    for name in ["a", "dir/b"] {
        replace(vfs, name, &content())?;
        let Some(mapped) = map(vfs, name)? else { return Ok(()) };
        expect(mapped.len(), MAPPED_BYTES)?;
        expect(*mapped == *content(), true)?;
    }
    Ok(())
}

/// Renames, replaces and removes the name under two maps of the file.
pub(super) fn map_outlives_the_name(vfs: &dyn Vfs) -> io::Result<()> {
    replace(vfs, "a", &content())?;
    let Some(mapped) = map(vfs, "a")? else { return Ok(()) };
    let other = map(vfs, "a")?;
    let clone = mapped.clone();
    vfs.rename("a", "b")?;
    replace(vfs, "b", b"another file")?;
    vfs.remove("b")?;
    vfs.sync_dir("")?;
    drop(mapped);
    expect(*clone == *content(), true)?;
    expect(other.is_some_and(|other| *other == *content()), true)
}

/// Maps a file without bytes.
pub(super) fn map_of_nothing_is_empty(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.open("a", Mode::CreateNew)?.sync_data()?;
    let Some(mapped) = map(vfs, "a")? else { return Ok(()) };
    expect(mapped.is_empty(), true)
}

/// Reads and writes on, once the map is gone.
pub(super) fn map_leaves_the_file_as_it_is(vfs: &dyn Vfs) -> io::Result<()> {
    replace(vfs, "a", b"old")?;
    drop(map(vfs, "a")?);
    let file = vfs.open("a", Mode::Write)?;
    file.write_all_at(0, b"newer")?;
    file.sync_data()?;
    let Some(mapped) = map(vfs, "a")? else { return Ok(()) };
    expect(&*mapped, b"newer".as_slice())
}

/// Maps what is no file, or has no name.
pub(super) fn only_files_are_mapped(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.create_dir("dir")?;
    replace(vfs, "a", b"file")?;
    for name in ["", "/etc", "../a", "dir/../a", "a/", "a\0b"] {
        expect_kind(vfs.map(name), ErrorKind::InvalidInput)?;
    }
    expect_refusal(vfs.map("dir"))?;
    if map(vfs, "a")?.is_some() {
        expect_kind(vfs.map("none"), ErrorKind::NotFound)?;
        expect_kind(vfs.map("none/a"), ErrorKind::NotFound)?;
        expect_kind(vfs.map("a/b"), ErrorKind::NotADirectory)?;
    }
    Ok(())
}
