//! New events: what is answered, and what survives.

pub(crate) mod calls;
mod sendable;
mod tickets;
