//! How time goes on.

pub(crate) mod clock;
mod witnesses;
