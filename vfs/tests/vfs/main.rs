//! Real files and the simulated disk keep the contract of `Vfs`, also under faults and power cuts.
//! Method: each module opens with its own promise and method.

#![cfg(test)]

mod conformance;
mod faults;
mod ground;
mod map;
mod media;
mod os;
mod owner;
mod reordering;
mod replace;
mod short_writes;
mod sim;
