//! A whole log.
pub fn open(_data: &[u8]) {}
