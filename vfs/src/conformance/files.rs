//! Checks of [`File`](crate::File).

use std::io::{self, ErrorKind};

use super::{FILL_BYTES, expect, expect_refusal};
use crate::{GroundMoved, Mode, Pace, Vfs, read_all};

/// A limit that no file here comes near.
const NO_LIMIT: u64 = 1 << 30;

/// Writes at both ends of a page and reads the middle.
pub(super) fn written_is_read(vfs: &dyn Vfs) -> io::Result<()> {
    let file = vfs.open("a", Mode::CreateNew)?;
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(10_000).collect();
    file.write_all_at(3, &bytes)?;
    file.write_all_at(4090, b"over a page's end")?;
    file.sync_data()?;
    expect(file.len()?, 10_003)?;
    let mut seen = [0; 19];
    expect(file.read_at(4089, &mut seen)?, 19)?;
    expect(seen.get(1..18), Some(b"over a page's end".as_slice()))?;
    let mut first = [9; 4];
    expect(file.read_at(0, &mut first)?, 4)?;
    expect(first, [0, 0, 0, 0])?;
    expect(file.read_at(3 + 256, &mut first)?, 4)?;
    expect(first, [0, 1, 2, 3])
}

/// Reads across, at and beyond the end.
pub(super) fn reads_stop_at_the_end(vfs: &dyn Vfs) -> io::Result<()> {
    let file = vfs.open("a", Mode::CreateNew)?;
    expect(file.is_empty()?, true)?;
    file.write_all_at(0, b"12345")?;
    expect(file.is_empty()?, false)?;
    let mut buf = [b'x'; 4];
    expect(file.read_at(3, &mut buf)?, 2)?;
    expect(buf, *b"45xx")?;
    expect(file.read_at(5, &mut buf)?, 0)?;
    expect(file.read_at(1 << 40, &mut buf)?, 0)?;
    expect(file.read_at(0, &mut [])?, 0)
}

/// Writes beyond the end.
pub(super) fn gap_reads_as_zeros(vfs: &dyn Vfs) -> io::Result<()> {
    let file = vfs.open("a", Mode::CreateNew)?;
    file.write_all_at(0, b"ab")?;
    file.write_all_at(5, b"cd")?;
    expect(read_all(vfs, "a", NO_LIMIT)?, b"ab\0\0\0cd")
}

/// Cuts and grows again: the old bytes must not come back.
pub(super) fn set_len_cuts_and_extends(vfs: &dyn Vfs) -> io::Result<()> {
    let file = vfs.open("a", Mode::CreateNew)?;
    file.write_all_at(0, &[7; 5000])?;
    file.set_len(4097)?;
    file.set_len(2)?;
    expect(file.len()?, 2)?;
    file.set_len(6000)?;
    file.sync_data()?;
    let bytes = read_all(vfs, "a", NO_LIMIT)?;
    expect(bytes.len(), 6000)?;
    expect(bytes.iter().filter(|byte| **byte != 0).count(), 2)
}

/// Fills an empty file, and part of a longer one.
pub(super) fn fill_zeros_keeps_the_rest(vfs: &dyn Vfs) -> io::Result<()> {
    let file = vfs.open("a", Mode::CreateNew)?;
    file.fill_zeros(u64::from(FILL_BYTES), &|| Pace::Gentle)?;
    expect(file.len()?, u64::from(FILL_BYTES))?;
    file.write_all_at(0, &[7; 100])?;
    file.fill_zeros(40, &|| Pace::Fast)?;
    file.fill_zeros(0, &|| Pace::Gentle)?;
    let bytes = read_all(vfs, "a", NO_LIMIT)?;
    expect(u64::try_from(bytes.len()).map_err(io::Error::other)?, u64::from(FILL_BYTES))?;
    expect(bytes.iter().position(|byte| *byte != 0), Some(40))?;
    expect(bytes.iter().filter(|byte| **byte == 7).count(), 60)
}

/// Takes space for a file with bytes, and writes zeros over some of them.
pub(super) fn allocated_space_reads_as_zeros(vfs: &dyn Vfs) -> io::Result<()> {
    let file = vfs.open("a", Mode::CreateNew)?;
    file.write_all_at(0, &[7; 100])?;
    match file.allocate(u64::from(FILL_BYTES)) {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            expect(file.len()?, 100)?;
            file.set_len(u64::from(FILL_BYTES))?;
        }
        allocated => allocated?,
    }
    expect(file.len()?, u64::from(FILL_BYTES))?;
    if let Err(refused) = file.allocate(50) {
        expect(refused.kind(), ErrorKind::Unsupported)?;
    }
    expect(file.len()?, u64::from(FILL_BYTES))?;
    file.write_zeros(10, 20)?;
    file.write_zeros(u64::from(FILL_BYTES) - 1, 40_001)?;
    file.write_zeros(3, 0)?;
    file.sync_data()?;
    let bytes = read_all(vfs, "a", NO_LIMIT)?;
    expect(u64::try_from(bytes.len()).map_err(io::Error::other)?, u64::from(FILL_BYTES) + 40_000)?;
    expect(bytes.iter().filter(|byte| **byte == 7).count(), 80)?;
    expect(bytes.iter().position(|byte| *byte != 7), Some(10))
}

/// Writes nothing, beyond the end.
pub(super) fn empty_write_changes_nothing(vfs: &dyn Vfs) -> io::Result<()> {
    let file = vfs.open("a", Mode::CreateNew)?;
    file.write_all_at(100, b"")?;
    expect(file.len()?, 0)
}

/// Tries every change through a reading handle.
pub(super) fn read_handle_cannot_write(vfs: &dyn Vfs) -> io::Result<()> {
    vfs.open("a", Mode::CreateNew)?.write_all_at(0, b"kept")?;
    let file = vfs.open("a", Mode::Read)?;
    expect_refusal(file.write_all_at(0, b"lost"))?;
    expect_refusal(file.set_len(0))?;
    expect_refusal(file.fill_zeros(2, &|| Pace::Gentle))?;
    expect_refusal(file.write_zeros(0, 2))?;
    expect_refusal(file.allocate(2))?;
    expect(read_all(vfs, "a", NO_LIMIT)?, b"kept")
}

/// Writes through one handle and reads through another.
pub(super) fn handles_share_the_file(vfs: &dyn Vfs) -> io::Result<()> {
    let one = vfs.open("a", Mode::CreateNew)?;
    let other = vfs.open("a", Mode::Write)?;
    one.write_all_at(0, b"one")?;
    other.write_all_at(3, b"two")?;
    let mut seen = [0; 6];
    expect(one.read_at(0, &mut seen)?, 6)?;
    expect(seen, *b"onetwo")
}

/// Renames and removes under an open handle.
pub(super) fn handle_outlives_the_name(vfs: &dyn Vfs) -> io::Result<()> {
    let file = vfs.open("a", Mode::CreateNew)?;
    file.write_all_at(0, b"still here")?;
    file.sync_data()?;
    vfs.rename("a", "b")?;
    vfs.remove("b")?;
    vfs.sync_dir("")?;
    let mut seen = [0; 10];
    expect(file.read_at(0, &mut seen)?, 10)?;
    expect(seen, *b"still here")?;
    expect(vfs.exists("b")?, false)
}

/// Writes through handles whose names are another's, gone, and right again.
pub(super) fn handle_without_its_name_cannot_write(vfs: &dyn Vfs) -> io::Result<()> {
    let file = vfs.open("a", Mode::CreateNew)?;
    file.write_all_at(0, b"kept")?;
    vfs.rename("a", "b")?;
    let refused = |outcome: io::Result<()>| match outcome {
        Err(error) => expect(GroundMoved::of(&error), Some(&GroundMoved::File("a".to_owned()))),
        Ok(()) => Err(io::Error::other("saw Ok, expected a refusal")),
    };
    for name in ["b", "a"] {
        refused(file.write_all_at(0, b"lost"))?;
        refused(file.set_len(1))?;
        refused(file.fill_zeros(2, &|| Pace::Gentle))?;
        refused(file.write_zeros(0, 2))?;
        refused(file.allocate(20))?;
        refused(file.sync_data())?;
        expect(read_all(vfs, "b", NO_LIMIT)?, b"kept")?;
        if name == "b" {
            vfs.open("a", Mode::CreateNew)?;
        }
    }
    vfs.rename("b", "a")?;
    file.write_all_at(0, b"good")?;
    file.sync_data()?;
    expect(read_all(vfs, "a", NO_LIMIT)?, b"good")
}
