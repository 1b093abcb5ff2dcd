//! A store on real directories, used by real threads, does what the documents of the engine say.
//!
//! Method: each module has its own.

#![cfg(test)]

mod async_tickets;
mod examples;
mod footprint;
mod ground;
mod inbox_threads;
mod opening_words;
mod threads;
mod usurpers;
