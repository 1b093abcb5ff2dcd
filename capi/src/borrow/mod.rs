//! Pointers from C, checked as far as they can be and then borrowed. Nothing is kept after a call.

use std::slice;

use crate::abi::{Bytes, Counts, Event, Options, Status};
use crate::exchange::{ExchangeOptions, ReportCounts, Response, Work};
use crate::failure::Failure;

/// A struct whose first field is its size as the caller knows it.
///
/// # Safety
///
/// The type is `repr(C)`, its first field is a `usize`, and every bit pattern of it is valid.
pub(crate) unsafe trait SizedStruct {
    /// The struct's name in messages.
    const NAME: &'static str;
}

// SAFETY: `repr(C)`, begins with `struct_size`, holds only numbers.
unsafe impl SizedStruct for Options {
    const NAME: &'static str = "options";
}

// SAFETY: `repr(C)`, begins with `struct_size`, holds only numbers and raw pointers.
unsafe impl SizedStruct for Event {
    const NAME: &'static str = "event";
}

// SAFETY: `repr(C)`, begins with `struct_size`, holds only numbers.
unsafe impl SizedStruct for Counts {
    const NAME: &'static str = "counts";
}

// SAFETY: `repr(C)`, begins with `struct_size`, holds only numbers and raw pointers.
unsafe impl SizedStruct for ExchangeOptions {
    const NAME: &'static str = "options";
}

// SAFETY: `repr(C)`, begins with `struct_size`, holds only numbers and raw pointers.
unsafe impl SizedStruct for Work {
    const NAME: &'static str = "work";
}

// SAFETY: `repr(C)`, begins with `struct_size`, holds only numbers and raw pointers.
unsafe impl SizedStruct for Response {
    const NAME: &'static str = "response";
}

// SAFETY: `repr(C)`, begins with `struct_size`, holds only numbers.
unsafe impl SizedStruct for ReportCounts {
    const NAME: &'static str = "report";
}

/// Largest size of a struct that is believed: a larger one is a field that was never set.
const STRUCT_BYTES_MAX: usize = 4096;

/// Copies a struct that the caller filled.
///
/// A shorter one is of no version that ever was. Of a longer one, from a newer header, the fields
/// that are not known here must be 0, which means "not used" in all of them.
///
/// # Safety
///
/// `from` is null, or readable for a `usize` and for as many bytes as that says.
pub(crate) unsafe fn read<T: SizedStruct + Copy>(from: *const T) -> Result<T, Failure> {
    let name = T::NAME;
    // SAFETY: by this function's contract.
    let given = unsafe { struct_bytes(from) }?;
    if given > size_of::<T>() {
        let beyond = given - size_of::<T>();
        // SAFETY: `given` bytes are readable, by this function's contract, and that is more than
        // the size of `T`.
        let unknown = unsafe { slice::from_raw_parts(from.add(1).cast::<u8>(), beyond) };
        if unknown.iter().any(|byte| *byte != 0) {
            let message = format!("{name}: uses fields that this version does not have");
            return Err(Failure::new(Status::Unsupported, "STRUCT_TOO_NEW", message));
        }
    }
    // SAFETY: not null, aligned, and readable for the size of `T`, all checked by `struct_bytes`;
    // every bit pattern is valid, by the trait's contract.
    Ok(unsafe { from.read() })
}

/// Checks a struct that is to be filled, before anything is done that could not be taken back.
///
/// # Safety
///
/// `at` is null, or readable for a `usize`.
pub(crate) unsafe fn check<T: SizedStruct>(at: *const T) -> Result<(), Failure> {
    // SAFETY: by this function's contract.
    unsafe { struct_bytes(at) }.map(drop)
}

/// Fills a struct of the caller, as much of it as both sides know.
///
/// # Safety
///
/// `to` is null, or readable for a `usize`, and writable for as many bytes as that says.
pub(crate) unsafe fn fill<T: SizedStruct + Copy>(to: *mut T, value: T) -> Result<(), Failure> {
    // SAFETY: by this function's contract. The size is at least that of `T`.
    unsafe { struct_bytes(to) }?;
    // SAFETY: not null, aligned, and writable for the size of `T`.
    unsafe { to.write(value) };
    Ok(())
}

/// Checks a struct's pointer and returns the size that the caller gave, at least that of `T`.
///
/// # Safety
///
/// `at` is null, or readable for a `usize`.
unsafe fn struct_bytes<T: SizedStruct>(at: *const T) -> Result<usize, Failure> {
    let name = T::NAME;
    aligned(at, name)?;
    // SAFETY: not null and aligned for `T`, whose first field is a `usize`; readable by contract.
    let given = unsafe { at.cast::<usize>().read() };
    let known = size_of::<T>();
    if !(known..=STRUCT_BYTES_MAX).contains(&given) {
        return Err(Failure::invalid(
            "STRUCT_SIZE_INVALID",
            format!("{name}: struct_size is {given}, must be {known} or that of a newer header"),
        ));
    }
    Ok(given)
}

/// Refuses null, and pointers that cannot be what they are said to be.
pub(crate) fn aligned<T>(at: *const T, name: &str) -> Result<(), Failure> {
    if at.is_null() {
        return Err(Failure::null(name));
    }
    if !at.is_aligned() {
        return Err(Failure::invalid("MISALIGNED", format!("{name}: is not an aligned pointer")));
    }
    Ok(())
}

/// Borrows bytes; `None` where they are not given.
///
/// # Safety
///
/// Of `from`, as many bytes as it says are readable, and stay unchanged for `'a`.
pub(crate) unsafe fn bytes<'a>(from: Bytes, name: &str) -> Result<Option<&'a [u8]>, Failure> {
    if from.start.is_null() {
        return if from.size_bytes == 0 { Ok(None) } else { Err(Failure::null(name)) };
    }
    if isize::try_from(from.size_bytes).is_err() {
        let message = format!("{name}: {} bytes cannot be", from.size_bytes);
        return Err(Failure::invalid("SIZE_INVALID", message));
    }
    // SAFETY: not null, no larger than an allocation can be, readable by this function's contract.
    Ok(Some(unsafe { slice::from_raw_parts(from.start.cast::<u8>(), from.size_bytes) }))
}

/// Borrows an array; null is one of none.
///
/// # Safety
///
/// `start` is null, or as many values as `count` are readable there, and stay unchanged for `'a`.
pub(crate) unsafe fn array<'a, T>(
    start: *const T,
    count: usize,
    name: &str,
) -> Result<&'a [T], Failure> {
    if start.is_null() && count == 0 {
        return Ok(&[]);
    }
    aligned(start, name)?;
    let size_bytes = count.checked_mul(size_of::<T>());
    if size_bytes.and_then(|size_bytes| isize::try_from(size_bytes).ok()).is_none() {
        return Err(Failure::invalid("SIZE_INVALID", format!("{name}: {count} of them cannot be")));
    }
    // SAFETY: not null, aligned, no larger than an allocation can be, readable by this function's contract.
    Ok(unsafe { slice::from_raw_parts(start, count) })
}

/// Borrows text; `None` where it is not given.
///
/// # Safety
///
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(from: Bytes, name: &str) -> Result<Option<&'a str>, Failure> {
    // SAFETY: by this function's contract.
    let Some(bytes) = (unsafe { bytes(from, name) })? else { return Ok(None) };
    utf8(bytes, name).map(Some)
}

/// Takes bytes for text.
pub(crate) fn utf8<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str, Failure> {
    str::from_utf8(bytes).map_err(|found| {
        let message = format!("{name}: not UTF-8 at byte {}", found.valid_up_to());
        Failure::new(Status::Utf8, "NOT_UTF8", message)
    })
}

#[cfg(test)]
mod tests;
