//! What the benches share: how repeated measurements become one figure, and what the disk can do.
//!
//! A figure is never one run: the thing and its floor are measured in turn, several times, and what is
//! reported is the middle with the ends beside it.

#![forbid(unsafe_code)]

pub mod bench;
pub mod gathering;
pub mod raw;
pub mod spread;
pub mod turns;
