//! The index as its owner meets it: in memory and in files, over restarts, faults, damage and power cuts.
//! Method: one program of all parts, so that what they share is compiled once.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a failure is a panic, and the numbers of states and operations are told"
)]

mod adversarial;
mod anew;
mod beside;
mod between;
mod carrying;
mod crashes;
mod damage;
mod edges;
mod faults;
mod histories;
mod hostile;
mod memory;
mod model;
mod promises;
mod reference;
mod restarts;
mod room;
mod scenery;
mod store;
mod threads;
