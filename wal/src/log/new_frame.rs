//! Frames that are to be appended: parts of a body, or whatever writes its body itself.

use crate::frame::{self, Place};
use crate::limits::frame_bytes;
use crate::lsn::Lsn;

/// A frame to be appended.
#[derive(Clone, Copy, Debug)]
pub struct NewFrame<'a> {
    /// The kind, at least [`KIND_HOST_MIN`](crate::KIND_HOST_MIN).
    pub kind: u8,
    /// The kind's own bits, `0..=127`.
    pub flags: u8,
    /// The body in pieces, not empty in all.
    pub parts: &'a [&'a [u8]],
}

impl NewFrame<'_> {
    /// The bytes that it takes in a segment whose bodies are clear; [`Log::bytes_of`](crate::Log::bytes_of) returns it
    /// for any.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes_with(0)
    }

    /// The bytes that it takes with so many bytes behind its body.
    pub(super) fn bytes_with(&self, tag_bytes: usize) -> usize {
        frame_bytes(self.body_bytes() + tag_bytes)
    }
}

/// A frame to be appended that writes its body itself, to where the log wants it.
///
/// Its methods are called more than once, under the lock of all who append: they are to be quick, and to say the same
/// each time.
pub trait AppendFrame {
    /// The kind, at least [`KIND_HOST_MIN`](crate::KIND_HOST_MIN).
    fn kind(&self) -> u8;

    /// The kind's own bits, `0..=127`.
    fn flags(&self) -> u8;

    /// Size of the body, not 0.
    fn body_bytes(&self) -> usize;

    /// Writes the body over all of `body`, which has that size and whatever was there before.
    fn write_body(&self, body: &mut [u8]);
}

impl AppendFrame for NewFrame<'_> {
    fn kind(&self) -> u8 {
        self.kind
    }

    fn flags(&self) -> u8 {
        self.flags
    }

    fn body_bytes(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    fn write_body(&self, body: &mut [u8]) {
        frame::write_parts(self.parts, body);
    }
}

impl<F: AppendFrame + ?Sized> AppendFrame for &F {
    fn kind(&self) -> u8 {
        (**self).kind()
    }

    fn flags(&self) -> u8 {
        (**self).flags()
    }

    fn body_bytes(&self) -> usize {
        (**self).body_bytes()
    }

    fn write_body(&self, body: &mut [u8]) {
        (**self).write_body(body);
    }
}

/// Where one frame was queued.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placed {
    /// The frame's number.
    pub lsn: Lsn,
    /// The frame's place.
    pub place: Place,
    /// The bytes that it takes there.
    pub bytes: u32,
}
