//! What the upstream delivers.

mod bounds;
pub(crate) mod calls;
mod cleaning;
mod crashes;
mod windows;
