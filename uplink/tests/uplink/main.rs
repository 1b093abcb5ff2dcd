//! The crate does what a host sees of it.
//!
//! Method: each module has its own.

#![cfg(test)]

mod examples;
