//! Idempotent calls, on a store with a clock set by hand.

pub(crate) mod calls;
mod crashes;
mod kept;
mod refused;
