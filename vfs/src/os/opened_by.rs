//! Which process opened something: what threads, locks and handles belong to that one, and not to its forks.

use std::{
    process,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use super::map::{self, WipedByFork};

/// The process that opened something.
///
/// Asked before every write whether it is still the same, so it asks the system only where it must: a page of memory
/// that the system empties in every fork says that there was none. Where the system has no such pages, and in a fork,
/// it is asked each time.
///
/// A process that shares this one's memory (`vfork`, `clone` with `CLONE_VM`) is taken for this one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenedBy {
    pid: u32,
    /// The page was whole when this was made: then it alone says whether this is the process still, whatever number
    /// another one has in a namespace of its own.
    by_page: bool,
}

impl OpenedBy {
    /// This process.
    #[must_use]
    pub fn this_process() -> Self {
        let by_page = is_unforked();
        Self { pid: process::id(), by_page }
    }

    /// Whether this process is the one; `false` in its forks.
    #[must_use]
    pub fn is_this_process(self) -> bool {
        if self.by_page { is_unforked() } else { self.pid == process::id() }
    }

    /// Its number.
    #[must_use]
    pub const fn pid(self) -> u32 {
        self.pid
    }
}

/// Whether it is certain that this process was not forked since the page was made.
///
/// Never waits: a fork has no thread that would finish what another one of its parent began.
fn is_unforked() -> bool {
    static PAGE: OnceLock<Option<WipedByFork>> = OnceLock::new();
    static IS_MADE: AtomicBool = AtomicBool::new(false);
    if let Some(page) = PAGE.get() {
        return page.as_ref().is_some_and(WipedByFork::is_whole);
    }
    if IS_MADE.swap(true, Ordering::AcqRel) {
        // Another thread is at it, or was when this process was forked.
        return false;
    }
    let _first = PAGE.set(map::wiped_by_fork());
    PAGE.get().and_then(Option::as_ref).is_some_and(WipedByFork::is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_the_one_and_one_of_another_number_is_not() {
        let opened_by = OpenedBy::this_process();
        assert!(opened_by.is_this_process());
        assert_eq!(opened_by.pid(), process::id());
        let without_page = OpenedBy { by_page: false, ..opened_by };
        assert!(without_page.is_this_process());
        assert!(!OpenedBy { pid: opened_by.pid + 1, ..without_page }.is_this_process());
    }
}
