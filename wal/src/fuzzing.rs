//! What fuzz targets need of the inside. Not part of the interface.

use crate::frame::{self, Head};

/// Decodes a frame and checks what must hold of whatever passes: its size, and that encoding its
/// fields again gives the same bytes.
///
/// Returns the size of the frame; `None` if the bytes are not one.
///
/// # Panics
///
/// If one of these does not hold.
#[must_use]
pub fn decode_frame(bytes: &[u8], salt: u32) -> Option<usize> {
    let (header, body) = frame::decode(bytes, salt).ok()?;
    let frame = bytes.get(..header.frame_bytes())?;
    assert!(!body.is_empty(), "an empty body passed");
    let head = Head {
        lsn_delta: header.lsn_delta,
        run: header.run,
        synced_lag: header.synced_lag,
        time: header.time,
        kind: header.kind,
        flags: header.flags,
    };
    let mut again = Vec::new();
    let written = frame::encode(&mut again, salt, head, &[body]);
    assert_eq!((written, again.len()), (header, frame.len()), "encoding again differs");
    Some(frame.len())
}

/// A frame whose body is `body`, to start from.
#[must_use]
pub fn encode_frame(salt: u32, body: &[u8]) -> Vec<u8> {
    let head = Head { lsn_delta: 1, run: 1, synced_lag: 1, time: 0, kind: 16, flags: 0 };
    let mut out = Vec::new();
    frame::encode(&mut out, salt, head, &[body]);
    out
}
