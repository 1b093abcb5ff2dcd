//! Where the index's locks come from: the real ones, or, in unit tests that are built with
//! `--cfg shuttle`, those of a scheduler that tries interleavings.

#[cfg(not(all(test, shuttle)))]
pub(crate) use parking_lot::{Mutex, RwLock};
#[cfg(all(test, shuttle))]
pub(crate) use shuttle_parking_lot_impl::{Mutex, RwLock};
