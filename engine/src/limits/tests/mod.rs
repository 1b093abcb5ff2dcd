//! Limits, and what is done about them.

pub(crate) mod calls;
mod cancel;
mod crashes;
mod dropping;
