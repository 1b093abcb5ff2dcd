//! The hub as its clients and its operator meet it: over HTTP, through files, across restarts.
//! Method: one program of all parts, so that the running hub and the client are compiled once.
#![expect(
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that fails may panic, and these prepare files from outside"
)]

mod cards;
mod copies;
mod forloy;
mod refusals;
mod restart;
mod running;
mod segments;
mod serving;
mod wede;
