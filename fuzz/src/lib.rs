//! What the fuzz targets do with their bytes: build something right, damage it, and hold the log, the
//! index or the reader of a stream to what it promises. The targets themselves are one call each.
//!
//! The bytes of an input are decisions, never content: what is damaged is damaged by flips, zeros,
//! noise and old content, so that a fuzzer that watches comparisons cannot copy a right checksum into
//! the place of a wrong one and so write a frame that nobody appended.
#![forbid(unsafe_code)]

pub mod directory;
pub mod index;
mod input;
pub mod segment;
pub mod slice;
mod tolerated;
