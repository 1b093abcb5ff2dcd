//! Events on their way.

mod outcomes;
mod replay;
mod settling;
