//! Random histories of a store on a full disk: whatever happened before, an upstream that is well in the
//! end drains it, without room being made outside.
//!
//! | file | what |
//! |---|---|
//! | `run` | a store, its disk and its upstream, and what happens to them |
//! | `upstream` | an upstream with moods |
//! | `tests` | the normal run |

mod run;
mod tests;
mod upstream;
