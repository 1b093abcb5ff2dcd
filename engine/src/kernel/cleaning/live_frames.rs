//! What lives in a segment that is to go, as the frames that take it along.

use crate::base::FrameKind;
use crate::kernel::FrameBody;

/// Bytes of carried frames that are made durable together.
const GROUP_BYTES: usize = 128 * 1024;
/// What a frame takes besides its body, about.
const FRAME_BYTES: usize = 64;

/// What is found alive in a segment.
#[derive(Debug)]
pub(crate) struct LiveFrames {
    segment: u64,
    frames: Vec<FrameBody>,
    bytes: u64,
    known_frames: usize,
    must_stay: bool,
}

impl LiveFrames {
    /// Nothing, of a segment.
    pub(super) fn new(segment: u64) -> Self {
        Self { segment, frames: Vec::new(), bytes: 0, known_frames: 0, must_stay: false }
    }

    /// The segment.
    pub(crate) fn segment(&self) -> u64 {
        self.segment
    }

    /// Adds a control frame.
    pub(crate) fn push(&mut self, kind: FrameKind, body: Vec<u8>) {
        self.push_flagged(kind, 0, body);
    }

    /// Adds a frame with flags.
    pub(crate) fn push_flagged(&mut self, kind: FrameKind, flags: u8, body: Vec<u8>) {
        let frame = FrameBody { kind, flags, body };
        self.count_bytes(u64::try_from(frame_bytes(&frame)).unwrap_or(u64::MAX));
        self.frames.push(frame);
    }

    /// Counts what is gathered and put into frames later.
    pub(crate) fn count_bytes(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Counts a frame on which an area counts, see `Area::known_frames`.
    pub(crate) fn count_known(&mut self) {
        self.known_frames += 1;
    }

    /// The segment must stay for now: something in it is about to change.
    pub(crate) fn stay(&mut self) {
        self.must_stay = true;
    }

    /// What the frames to be written take, about.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many frames were found on which areas count.
    pub(super) fn known_frames(&self) -> usize {
        self.known_frames
    }

    /// Whether the segment must stay for now.
    pub(super) fn must_stay(&self) -> bool {
        self.must_stay
    }

    /// The frames to write, in groups that are made durable together.
    pub(super) fn into_groups(self) -> Vec<Vec<FrameBody>> {
        let mut groups: Vec<Vec<FrameBody>> = Vec::new();
        let mut bytes = usize::MAX;
        for frame in self.frames {
            let size = frame_bytes(&frame);
            if bytes.saturating_add(size) > GROUP_BYTES {
                groups.push(Vec::new());
                bytes = 0;
            }
            bytes += size;
            if let Some(group) = groups.last_mut() {
                group.push(frame);
            }
        }
        groups
    }
}

/// Bytes of a frame, about.
fn frame_bytes(frame: &FrameBody) -> usize {
    frame.body.len() + FRAME_BYTES
}
