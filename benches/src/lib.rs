//! What the benches share: how repeated measurements become one figure.
//!
//! A figure is never one run: the thing and its floor are measured in turn, several times, and what is
//! reported is the middle with the ends beside it.

#![forbid(unsafe_code)]

pub mod spread;
