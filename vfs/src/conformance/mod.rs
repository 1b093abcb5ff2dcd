//! What every [`Vfs`] must do, as a suite that runs on real and simulated disks alike.
//!
//! It checks what is seen while running; what a crash leaves cannot be asked of a real disk here.

use std::io::{self, ErrorKind};

use crate::{Vfs, ZERO_STEP_BYTES};

mod files;
mod locks;
mod maps;
mod names;

/// One check on an empty tree.
pub type ConformanceCheck = fn(&dyn Vfs) -> io::Result<()>;

/// All checks, each with the sentence that it proves.
pub const CHECKS: &[(&str, ConformanceCheck)] = &[
    ("what was written is read back", files::written_is_read),
    ("reads stop at the end of the file", files::reads_stop_at_the_end),
    ("a gap before a write reads as zeros", files::gap_reads_as_zeros),
    ("set_len cuts, and extends with zeros", files::set_len_cuts_and_extends),
    ("filling writes zeros over the prefix and keeps the rest", files::fill_zeros_keeps_the_rest),
    (
        "space that was taken reads as zeros until it is written",
        files::allocated_space_reads_as_zeros,
    ),
    ("an empty write changes nothing", files::empty_write_changes_nothing),
    ("a handle opened for reading cannot write", files::read_handle_cannot_write),
    ("handles of one file see each other's writes", files::handles_share_the_file),
    ("a handle outlives its file's name", files::handle_outlives_the_name),
    (
        "a handle whose name is not its file's cannot write",
        files::handle_without_its_name_cannot_write,
    ),
    ("modes create and open as they say", names::modes_create_and_open),
    ("names that leave the tree are invalid input", names::bad_names_are_invalid),
    ("lists are sorted and hold names of all sorts", names::lists_are_sorted),
    ("directories are created with their parents, repeatedly", names::directories_are_created),
    ("a missing directory is not found", names::missing_directory_is_not_found),
    ("a file is no directory", names::file_is_no_directory),
    ("a directory is no file", names::directory_is_no_file),
    ("rename replaces the target", names::rename_replaces),
    ("rename moves between directories", names::rename_moves_between_directories),
    ("rename and removal of nothing are not found", names::nothing_is_not_found),
    ("a removed name is free again", names::removed_name_is_free),
    ("replace leaves only the new content", names::replace_leaves_the_new_content),
    ("read_all refuses more than its limit", names::read_all_obeys_its_limit),
    ("a map is the whole file", maps::map_is_the_whole_file),
    ("a map outlives its file's name", maps::map_outlives_the_name),
    ("a map of an empty file is empty", maps::map_of_nothing_is_empty),
    ("a map leaves the file as it is", maps::map_leaves_the_file_as_it_is),
    ("only files are mapped", maps::only_files_are_mapped),
    ("a lock is held once, until dropped", locks::lock_is_held_once),
    ("locks of different directories are apart", locks::locks_are_apart),
    ("a lock outlives its file, and is one for all names", locks::lock_is_of_the_directory),
];

/// Runs every check, each on a new empty tree.
///
/// # Panics
///
/// If a check fails, with its sentence and what went wrong.
pub fn run(make: &dyn Fn() -> Box<dyn Vfs>) {
    for (sentence, check) in CHECKS {
        let outcome = check(make().as_ref());
        assert!(outcome.is_ok(), "not so: {sentence}: {outcome:?}");
    }
}

/// An error unless `seen` is `expected`.
fn expect<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(
    seen: T,
    expected: U,
) -> io::Result<()> {
    if seen == expected {
        Ok(())
    } else {
        Err(io::Error::other(format!("saw {seen:?}, expected {expected:?}")))
    }
}

/// An error unless `outcome` is an error of this kind.
fn expect_kind<T: std::fmt::Debug>(outcome: io::Result<T>, kind: ErrorKind) -> io::Result<()> {
    match outcome {
        Err(error) => expect(error.kind(), kind),
        Ok(value) => Err(io::Error::other(format!("saw Ok({value:?}), expected {kind:?}"))),
    }
}

/// An error unless `outcome` is one; systems differ in which.
fn expect_refusal<T: std::fmt::Debug>(outcome: io::Result<T>) -> io::Result<()> {
    match outcome {
        Err(_) => Ok(()),
        Ok(value) => Err(io::Error::other(format!("saw Ok({value:?}), expected a refusal"))),
    }
}

/// More than one step of zeros, and no multiple of it.
const FILL_BYTES: u32 = ZERO_STEP_BYTES * 2 + 5;
