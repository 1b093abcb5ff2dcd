//! Looking at a store that another process writes.

pub(crate) mod calls;
