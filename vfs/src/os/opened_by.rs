//! Which process opened something: what threads, locks and handles belong to that one, and not to its forks.

use std::{process, sync::OnceLock};

use super::map::{self, WipedByFork};

/// The process that opened something.
///
/// Asked before every write whether it is still the same, so it asks the system only where it must: a page of memory
/// that the system empties in every fork says that there was none. Where the system has no such pages, and in a fork,
/// it is asked each time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenedBy {
    pid: u32,
}

impl OpenedBy {
    /// This process.
    #[must_use]
    pub fn this_process() -> Self {
        // Before the number is asked for: a page that is not empty then was made in this process, as was this.
        let _made = is_unforked();
        Self { pid: process::id() }
    }

    /// Whether this process is the one; `false` in its forks.
    #[must_use]
    pub fn is_this_process(self) -> bool {
        is_unforked() || self.pid == process::id()
    }

    /// Its number.
    #[must_use]
    pub const fn pid(self) -> u32 {
        self.pid
    }
}

/// Whether it is certain that this process was not forked since it asked first.
fn is_unforked() -> bool {
    static PAGE: OnceLock<Option<WipedByFork>> = OnceLock::new();
    PAGE.get_or_init(map::wiped_by_fork).as_ref().is_some_and(WipedByFork::is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_the_one_and_another_is_not() {
        let opened_by = OpenedBy::this_process();
        assert!(opened_by.is_this_process());
        assert_eq!(opened_by.pid(), process::id());
        assert!(is_unforked(), "this system has pages that a fork empties");
    }
}
