//! What the benches share: how repeated measurements become one figure, what the disk can do, and the
//! work of each part that is measured.
//!
//! A figure is never one run: the thing and its floor are measured in turn, several times, and what is
//! reported is the middle with the ends beside it.

#![forbid(unsafe_code)]

pub mod bench;
pub mod device;
pub mod engine;
pub mod gathering;
pub mod idle;
pub mod index;
pub mod pairing;
#[cfg(feature = "peers")]
pub mod peers;
pub mod raw;
pub mod spread;
pub mod threads;
pub mod turns;
pub mod wal;
