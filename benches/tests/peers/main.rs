//! Figures of other stores are of what is said of them: they do the work, and what they call durable is on the disk.
//!
//! Method: each is asked for small amounts of all work, and for what it must refuse; its system calls are counted.

#![forbid(unsafe_code)]

mod syncs;
mod work;
