//! Panics: no backtrace at a till, and no exit code that is not documented.

use std::{
    any::Any,
    cell::Cell,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
};

use crate::output::complain;

thread_local! {
    /// Whether a panic of this thread is caught and reported by the caller.
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Makes every panic from here on reported in one line, or by who catches it.
pub(crate) fn tame() {
    panic::set_hook(Box::new(|panic| {
        if !is_reported_elsewhere(panic) {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            complain(&format!("a defect of this program, at {place}: {}", text(panic.payload())));
        }
    }));
}

/// Calls `f`; what it says in a panic is the error.
pub(crate) fn caught<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    let before = CAUGHT.replace(true);
    let done = panic::catch_unwind(AssertUnwindSafe(f));
    CAUGHT.set(before);
    done.map_err(|panic| text(&*panic))
}

/// Whether whoever catches the panic reports it.
fn is_reported_elsewhere(panic: &PanicHookInfo<'_>) -> bool {
    CAUGHT.get() || onceward::host::reports_panic(panic)
}

/// What a panic says.
fn text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("without a word").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_caught_is_told_as_the_error_and_nothing_else_is() {
        assert_eq!(caught(|| 7), Ok(7));
        assert_eq!(caught(|| panic!("no threads")), Err::<(), _>("no threads".to_owned()));
        assert!(!CAUGHT.get());
    }
}
