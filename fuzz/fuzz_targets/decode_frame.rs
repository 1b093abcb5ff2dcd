//! No bytes make the log's decoder panic, or allocate what they ask for.
//!
//! TODO: hand `data` to the frame decoder too, under a salt taken from its first bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

use onceward_wal::Lsn;

fuzz_target!(|data: &[u8]| {
    let Some((number, _frame)) = data.split_first_chunk() else { return };
    let number = u64::from_le_bytes(*number);
    assert_eq!(Lsn::from_u64(number).map_or(0, Lsn::get), number, "only zero is no frame's number");
});
