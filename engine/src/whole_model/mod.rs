//! The whole engine against a reference of a few pages: histories of operations of every area, with
//! crashes, clock steps and full disks.
//!
//! | file | what |
//! |---|---|
//! | `words` | what operations and answers are made of |
//! | `operations` | the operations, and how they are drawn from a seed |
//! | `state` | what the reference knows |
//! | `reference` | what the engine must answer and keep |
//! | `run` | drives an engine and the reference side by side |
//! | `compare` | holds all that can be read against the reference |
//! | `tests` | the normal run, its counts, and what it must have reached |

mod compare;
mod operations;
mod reference;
mod run;
mod state;
mod tests;
mod words;

/// Ends with words unless something holds.
macro_rules! hold {
    ($held:expr, $($word:tt)+) => {
        if !$held {
            return Err(format!($($word)+).into());
        }
    };
}
use hold;
