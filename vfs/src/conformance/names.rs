//! Checks of names and directories.

use std::io::{self, ErrorKind};

use super::{expect, expect_kind, expect_refusal};
use crate::{Mode, Vfs, read_all, replace};

/// Every mode on a present and on a missing file.
pub(super) fn modes_create_and_open(vfs: &dyn Vfs) -> io::Result<()> {
    expect_kind(vfs.open("a", Mode::Read), ErrorKind::NotFound)?;
    expect_kind(vfs.open("a", Mode::Write), ErrorKind::NotFound)?;
    expect(vfs.exists("a")?, false)?;
    vfs.open("a", Mode::CreateNew)?.write_all_at(0, b"first")?;
    expect_kind(vfs.open("a", Mode::CreateNew), ErrorKind::AlreadyExists)?;
    expect(vfs.exists("a")?, true)?;
    let mut seen = [0; 5];
    expect(vfs.open("a", Mode::Write)?.read_at(0, &mut seen)?, 5)?;
    expect(seen, *b"first")
}

/// Every method with a name that must not reach the disk.
pub(super) fn bad_names_are_invalid(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.open("fine", Mode::CreateNew)?;
    for name in ["/etc", "../a", "a/../b", "./a", "a//b", "a/", "a\0b"] {
        expect_kind(vfs.open(name, Mode::CreateNew), ErrorKind::InvalidInput)?;
        expect_kind(vfs.list(name), ErrorKind::InvalidInput)?;
        expect_kind(vfs.exists(name), ErrorKind::InvalidInput)?;
        expect_kind(vfs.create_dir(name), ErrorKind::InvalidInput)?;
        expect_kind(vfs.rename("fine", name), ErrorKind::InvalidInput)?;
        expect_kind(vfs.rename(name, "fine"), ErrorKind::InvalidInput)?;
        expect_kind(vfs.remove(name), ErrorKind::InvalidInput)?;
        expect_kind(vfs.sync_dir(name), ErrorKind::InvalidInput)?;
        expect_kind(replace(vfs, name, b""), ErrorKind::InvalidInput)?;
    }
    expect_kind(vfs.open("", Mode::Read), ErrorKind::InvalidInput)?;
    expect_kind(vfs.remove(""), ErrorKind::InvalidInput)?;
    expect(vfs.list("")?, ["fine"])
}

/// Lists files and a directory.
pub(super) fn lists_are_sorted(vfs: &dyn Vfs) -> io::Result<()> {
    expect(vfs.list("")?, Vec::<String>::new())?;
    vfs.create_dir("dir")?;
    for name in ["b", "a", "dir/z", "dir/y", "c"] {
        vfs.open(name, Mode::CreateNew)?;
    }
    expect(vfs.list("")?, ["a", "b", "c", "dir"])?;
    expect(vfs.list("dir")?, ["y", "z"])
}

/// Creates a path, and again a longer one.
pub(super) fn directories_are_created(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.create_dir("")?;
    vfs.create_dir("a/b")?;
    vfs.open("a/b/file", Mode::CreateNew)?;
    vfs.create_dir("a/b")?;
    vfs.create_dir("a/b/c")?;
    expect(vfs.list("a/b")?, ["c", "file"])?;
    expect(vfs.exists("a")?, true)?;
    vfs.sync_dir("a/b")?;
    vfs.sync_dir("")
}

/// Every method inside a directory that is not there.
pub(super) fn missing_directory_is_not_found(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.open("file", Mode::CreateNew)?;
    expect_kind(vfs.open("none/a", Mode::CreateNew), ErrorKind::NotFound)?;
    expect_kind(vfs.list("none"), ErrorKind::NotFound)?;
    expect_kind(vfs.sync_dir("none"), ErrorKind::NotFound)?;
    expect_kind(vfs.rename("file", "none/a"), ErrorKind::NotFound)?;
    expect_kind(vfs.remove("none/a"), ErrorKind::NotFound)?;
    expect(vfs.exists("none/a")?, false)?;
    expect(vfs.exists("file")?, true)
}

/// Uses a file where a directory should be.
pub(super) fn file_is_no_directory(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.open("file", Mode::CreateNew)?;
    expect_kind(vfs.list("file"), ErrorKind::NotADirectory)?;
    expect_kind(vfs.open("file/a", Mode::CreateNew), ErrorKind::NotADirectory)?;
    expect_kind(vfs.create_dir("file"), ErrorKind::NotADirectory)?;
    expect_kind(vfs.create_dir("file/a"), ErrorKind::NotADirectory)?;
    expect_kind(vfs.sync_dir("file"), ErrorKind::NotADirectory)
}

/// Uses a directory where a file should be.
pub(super) fn directory_is_no_file(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.create_dir("dir")?;
    vfs.open("file", Mode::CreateNew)?;
    expect_refusal(vfs.open("dir", Mode::Read))?;
    expect_refusal(vfs.open("dir", Mode::Write))?;
    expect_kind(vfs.open("dir", Mode::CreateNew), ErrorKind::AlreadyExists)?;
    expect_refusal(vfs.remove("dir"))?;
    expect_refusal(vfs.rename("dir", "other"))?;
    expect_refusal(vfs.rename("file", "dir"))?;
    expect_refusal(vfs.lock("dir").map_err(io::Error::other))?;
    expect(vfs.list("")?, ["dir", "file"])
}

/// Renames over another file, and onto itself.
pub(super) fn rename_replaces(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.open("from", Mode::CreateNew)?.write_all_at(0, b"new")?;
    vfs.open("to", Mode::CreateNew)?.write_all_at(0, b"older")?;
    vfs.rename("from", "to")?;
    vfs.rename("to", "to")?;
    expect(vfs.list("")?, ["to"])?;
    expect(read_all(vfs, "to", 3)?, b"new")
}

/// Renames into another directory.
pub(super) fn rename_moves_between_directories(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.create_dir("dir")?;
    vfs.open("a", Mode::CreateNew)?.write_all_at(0, b"moved")?;
    vfs.rename("a", "dir/b")?;
    vfs.sync_dir("dir")?;
    vfs.sync_dir("")?;
    expect(vfs.list("")?, ["dir"])?;
    expect(read_all(vfs, "dir/b", 5)?, b"moved")
}

/// Renames and removes what is not there.
pub(super) fn nothing_is_not_found(vfs: &dyn Vfs) -> io::Result<()> {
    expect_kind(vfs.rename("none", "other"), ErrorKind::NotFound)?;
    expect_kind(vfs.remove("none"), ErrorKind::NotFound)
}

/// Removes and creates again: the old bytes must not come back.
pub(super) fn removed_name_is_free(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.open("a", Mode::CreateNew)?.write_all_at(0, b"old")?;
    vfs.remove("a")?;
    expect(vfs.exists("a")?, false)?;
    let file = vfs.open("a", Mode::CreateNew)?;
    expect(file.len()?, 0)
}

/// Replaces with shorter content, over a leftover temporary.
pub(super) fn replace_leaves_the_new_content(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.create_dir("dir")?;
    replace(vfs, "dir/meta", b"the first")?;
    vfs.open("dir/meta.tmp", Mode::CreateNew)?.write_all_at(0, b"a longer leftover")?;
    replace(vfs, "dir/meta", b"second")?;
    expect(read_all(vfs, "dir/meta", 6)?, b"second")?;
    expect(vfs.list("dir")?, ["meta"])
}

/// Reads at and above the limit.
pub(super) fn read_all_obeys_its_limit(vfs: &dyn Vfs) -> io::Result<()> {
    replace(vfs, "meta", b"1234")?;
    expect(read_all(vfs, "meta", 4)?, b"1234")?;
    let Err(error) = read_all(vfs, "meta", 3) else {
        return Err(io::Error::other("read more than the limit"));
    };
    expect(error.kind(), ErrorKind::InvalidData)?;
    let text = error.to_string();
    expect(text.contains("meta") && text.contains('3'), true)?;
    expect_kind(read_all(vfs, "none", 3), ErrorKind::NotFound)
}
