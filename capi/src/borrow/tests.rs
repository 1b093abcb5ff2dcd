//! What C may get wrong is refused, and what newer and older headers send is judged by its bytes.

use std::ptr;

use super::*;

/// A struct as a newer header might have it.
#[repr(C)]
struct Newer {
    options: Options,
    added: u64,
}

/// Options with nothing but defaults.
fn options(struct_size: usize) -> Options {
    Options {
        struct_size,
        segment_bytes: 0,
        window_ms: 0,
        payload_bytes_max: 0,
        flags: 0,
        dialect: 0,
        key_rule: 0,
    }
}

/// What reading answers.
fn status(from: *const Options) -> Status {
    // SAFETY: every caller passes null, or a pointer to as many bytes as `struct_size` says, or a
    // size that is refused before anything behind it is read.
    crate::failure::guard(|| unsafe { read(from) }.map(|_| ()))
}

#[test]
fn a_struct_of_this_version_is_read_and_one_without_its_size_is_refused() {
    let known = size_of::<Options>();
    assert_eq!(status(&options(known)), Status::Ok, "control");
    for wrong in [0, 1, known - 1, STRUCT_BYTES_MAX + 1, usize::MAX] {
        assert_eq!(status(&options(wrong)), Status::Invalid, "{wrong}");
    }
    assert_eq!(status(ptr::null()), Status::Null);
    assert_eq!(status(ptr::without_provenance(1)), Status::Invalid, "not aligned");
}

#[test]
fn a_newer_struct_is_read_unless_it_uses_what_is_not_known_here() {
    let read = |added| {
        let newer = Newer { options: options(size_of::<Newer>()), added };
        status((&raw const newer).cast())
    };
    assert_eq!(read(0), Status::Ok);
    assert_eq!(read(1), Status::Unsupported);
    assert_eq!(read(1 << 63), Status::Unsupported);
}

#[test]
fn bytes_are_given_empty_or_not_given() {
    let of = |start: *const u8, size_bytes| {
        // SAFETY: the sizes below are those of `held`, or are refused before anything is read.
        unsafe { bytes(Bytes { start: start.cast(), size_bytes }, "x") }
    };
    let held = *b"abc";
    assert_eq!(of(held.as_ptr(), 3).unwrap(), Some(&held[..]));
    assert_eq!(of(held.as_ptr(), 0).unwrap(), Some(&[][..]));
    assert_eq!(of(ptr::null(), 0).unwrap(), None);
    assert!(of(ptr::null(), 1).is_err());
    assert!(of(held.as_ptr(), usize::MAX).is_err());
}

#[test]
fn text_that_is_not_utf8_is_refused_and_says_where() {
    assert_eq!(utf8(b"caf\xc3\xa9", "key").unwrap(), "caf\u{e9}", "control");
    assert_eq!(crate::failure::guard(|| utf8(b"caf\xc3", "key").map(|_| ())), Status::Utf8);
}
