//! Bugs that are planted on purpose, to see that a test finds them.
//!
//! They exist only where the crates of the workspace are built with `--cfg planted_bugs`, as `scripts/bugs` does; one
//! such build holds all of them, and the variable [`PLANTED_BUG`] names the one that is at work. Any other build knows
//! nothing of them: [`planted!`] is `false` before it is compiled.
//!
//! [`planted!`]: crate::planted

use std::sync::OnceLock;

/// The variable of the environment that names the bug that is at work.
pub const PLANTED_BUG: &str = "ONCEWARD_PLANTED_BUG";

/// Whether the bug of this name is at work in a build that has them.
#[must_use]
pub fn is_planted(name: &str) -> bool {
    static AT_WORK: OnceLock<Option<String>> = OnceLock::new();
    AT_WORK.get_or_init(|| std::env::var(PLANTED_BUG).ok()).as_deref() == Some(name)
}

/// Whether the bug of this name is at work: `false` in every build but those of `scripts/bugs`.
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        cfg!(planted_bugs) && $crate::planted::is_planted($name)
    };
}
