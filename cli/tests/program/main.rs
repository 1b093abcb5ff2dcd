//! The program keeps what its documented surface says, as seen from outside.
//! Method: run the built binary with pipes, signals and other processes, and read what it prints.

#![expect(clippy::unwrap_used, reason = "a test helper that cannot go on has failed the test")]

mod capture;
#[cfg(target_os = "linux")]
mod clocks;
mod demo;
mod dialects;
mod endings;
mod exit_codes;
mod fault_proxy;
mod full;
mod kill;
mod line;
mod looking;
mod machine;
mod names;
#[cfg(feature = "nats")]
mod nats;
mod online;
mod order;
mod process;
mod repair;
mod rescue;
mod rights;
mod scopes;
mod signals;
mod stream;
mod sync;
mod tail;
mod trust;
mod upstreams;
mod words;
