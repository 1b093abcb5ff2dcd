//! Bodies held against the bytes that documents and tests spell. For tests only.

use std::fmt::Debug;

pub(crate) use onceward_vfs::testing::hex;

use super::codec::{Control, decode, encode};

/// Holds a value against its bytes, spelled with blanks, both ways; every shorter body is refused.
pub(crate) fn assert_bytes<T: Control + PartialEq + Debug>(value: &T, spelled: &str) {
    let bytes = encode(value);
    assert_eq!(hex(&bytes), spelled.split_whitespace().collect::<String>());
    assert_eq!(decode::<T>(&bytes).as_ref(), Some(value));
    for cut in 0..bytes.len() {
        assert_eq!(decode::<T>(&bytes[..cut]), None, "cut at {cut}");
    }
}
