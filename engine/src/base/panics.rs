//! Panics that a store catches and reports by itself: those of sled.
//!
//! Sled panics where its files are damaged, or where the disk refuses a sync. Nothing is lost by that: the catalog
//! is given up and made anew, and the status reports why. But the process's panic hook, which is the host's, is
//! called before anything is caught. Without the feature `sled` nothing panics so, and nothing is caught.

#[cfg(feature = "sled")]
use std::cell::Cell;
use std::panic::PanicHookInfo;
#[cfg(feature = "sled")]
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(feature = "sled")]
use std::thread;

/// How the names of the threads begin that sled starts.
#[cfg(feature = "sled")]
const SLED_THREADS: &str = "sled-io-";

#[cfg(feature = "sled")]
thread_local! {
    /// Whether what this thread panics with is caught here.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic is one that a store catches and reports by itself: a panic hook of the host need not report it.
///
/// No library may set a process's hook. Without one, Rust writes a text on stderr for each such panic. Without the
/// feature `sled` there are none, and the answer is always no.
///
/// ```
/// let before = std::panic::take_hook();
/// std::panic::set_hook(Box::new(move |panic| {
///     if !onceward::host::reports_panic(panic) {
///         before(panic);
///     }
/// }));
/// ```
#[must_use]
pub fn reports_panic(_panic: &PanicHookInfo<'_>) -> bool {
    is_caught()
}

/// Whether what this thread panics with is caught by a store.
#[cfg(feature = "sled")]
fn is_caught() -> bool {
    // A hook runs on the thread that panics.
    CAUGHT.get() || thread::current().name().is_some_and(|name| name.starts_with(SLED_THREADS))
}

/// Nothing is caught.
#[cfg(not(feature = "sled"))]
fn is_caught() -> bool {
    false
}

/// Calls `f`; what it says in a panic is the error. What it left half done is not to be used again.
#[cfg(feature = "sled")]
pub(crate) fn caught<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    let before = CAUGHT.replace(true);
    let done = catch_unwind(AssertUnwindSafe(f));
    CAUGHT.set(before);
    done.map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("without a word").to_owned()
    })
}

#[cfg(test)]
#[cfg(feature = "sled")]
mod tests {
    use std::panic::{set_hook, take_hook};
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    #[test]
    fn a_hook_is_told_which_panics_a_store_reports_and_what_they_say_is_the_error() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (noted, before) = (Arc::clone(&seen), take_hook());
        let me = thread::current().id();
        set_hook(Box::new(move |panic| {
            if thread::current().id() == me || thread::current().name() == Some("sled-io-7") {
                noted.lock().push(reports_panic(panic));
            } else {
                before(panic);
            }
        }));
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| panic!("no {}", "room")), Err::<(), _>("no room".to_owned()));
        drop(catch_unwind(|| panic!("the host's own")));
        let named = thread::Builder::new().name("sled-io-7".to_owned());
        drop(named.spawn(|| panic!("in sled")).unwrap().join());
        drop(take_hook());
        assert_eq!(*seen.lock(), [true, false, true]);
    }
}
