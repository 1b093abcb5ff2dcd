//! How a call ends: a status, and the thread's last failure in words. No pointers from C here.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi::Status;

/// Why a call failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The status, which says what the caller has to do.
    status: Status,
    /// Short stable name in capitals.
    code: String,
    /// One line for a person.
    message: String,
    /// A failed capture may yet be found after reopening.
    in_doubt: bool,
}

impl Failure {
    /// A failure that left nothing in doubt.
    pub(crate) fn new(status: Status, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), in_doubt: false }
    }

    /// A pointer that must not be null is.
    pub(crate) fn null(what: &str) -> Self {
        Self::new(Status::Null, "NULL", format!("{what}: is null"))
    }

    /// A request that breaks a documented limit.
    pub(crate) fn invalid(code: &str, message: impl Into<String>) -> Self {
        Self::new(Status::Invalid, code, message)
    }

    /// The failure for a panic. It may have struck in the middle of a capture, so that one is in doubt.
    fn panic(said: &(dyn Any + Send)) -> Self {
        let said = said
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| said.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        let message = format!("a bug in onceward: {said}");
        Self { in_doubt: true, ..Self::new(Status::Panic, "PANIC", message) }
    }
}

impl From<onceward::Error> for Failure {
    fn from(error: onceward::Error) -> Self {
        Self::from(&error)
    }
}

impl From<&onceward::Error> for Failure {
    fn from(error: &onceward::Error) -> Self {
        Self {
            status: error.kind().into(),
            code: error.code().to_owned(),
            message: error.to_string(),
            in_doubt: error.in_doubt(),
        }
    }
}

/// A thread's last failure, as C reads it. Empty texts after a success.
#[derive(Debug, Default)]
struct Last {
    code: CString,
    message: CString,
    in_doubt: bool,
}

thread_local! {
    /// Replaced by every call on the thread that answers a status.
    static LAST: RefCell<Last> = RefCell::default();
}

/// Runs the body of an exported function, and turns its failure or panic into a status.
pub(crate) fn guard(work: impl FnOnce() -> Result<(), Failure>) -> Status {
    // What a panic leaves behind is nobody's any more: the handle refuses further work by itself.
    let done = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|said| Err(Failure::panic(said.as_ref())));
    let (status, last) = match done {
        Ok(()) => (Status::Ok, Last::default()),
        Err(failure) => {
            let last = Last {
                code: c_text(&failure.code),
                message: c_text(&failure.message),
                in_doubt: failure.in_doubt,
            };
            (failure.status, last)
        }
    };
    // A thread that is ending has nobody to read it.
    let noted = LAST.try_with(|slot| slot.replace(last));
    drop(noted);
    status
}

/// The last failure's words, valid until [`guard`] runs on this thread again.
pub(crate) fn last_message() -> *const c_char {
    LAST.try_with(|last| last.borrow().message.as_ptr()).unwrap_or(NOTHING.as_ptr())
}

/// The last failure's code, valid until [`guard`] runs on this thread again.
pub(crate) fn last_code() -> *const c_char {
    LAST.try_with(|last| last.borrow().code.as_ptr()).unwrap_or(NOTHING.as_ptr())
}

/// Whether the last failure left a capture in doubt.
pub(crate) fn last_in_doubt() -> bool {
    LAST.try_with(|last| last.borrow().in_doubt).unwrap_or(false)
}

/// `text` for C, which ends at the first zero byte.
fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}

/// The empty text.
const NOTHING: &CStr = c"";

#[cfg(test)]
mod tests {
    use super::*;

    /// The thread's last message.
    fn message() -> String {
        LAST.with(|last| last.borrow().message.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_panic_becomes_a_status_and_leaves_doubt() {
        assert_eq!(guard(|| Ok(())), Status::Ok, "control: no panic");
        assert_eq!(guard(|| panic!("lost {}", 7)), Status::Panic);
        assert_eq!(message(), "a bug in onceward: lost 7");
        assert!(last_in_doubt());
        assert_eq!(guard(|| panic!("plain")), Status::Panic);
        assert_eq!(message(), "a bug in onceward: plain");
    }

    #[test]
    fn each_thread_reads_its_own_last_failure_and_success_clears_it() {
        assert_eq!(guard(|| Err(Failure::null("here"))), Status::Null);
        std::thread::spawn(|| {
            assert_eq!(message(), "");
            assert_eq!(guard(|| Err(Failure::null("there"))), Status::Null);
            assert_eq!(message(), "there: is null");
        })
        .join()
        .unwrap();
        assert_eq!(message(), "here: is null");
        assert_eq!(guard(|| Ok(())), Status::Ok);
        assert_eq!(message(), "");
    }

    #[test]
    fn a_zero_byte_does_not_cut_a_message_short() {
        assert_eq!(c_text("a\0b").to_str(), Ok("a\u{fffd}b"));
    }
}
