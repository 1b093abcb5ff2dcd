//! Bytes that no log wrote. Nothing is expected but that the judge stays sound.

use onceward_wal::Digest;
use onceward_wal::fuzzing::{self, FrameFields, SegmentContext};

use super::build::STORE;
use super::judge;
use crate::input::{Input, noise};

/// What is known of the segment, as the input wants it.
fn known(input: &mut Input<'_>) -> SegmentContext {
    let flags = input.byte();
    SegmentContext {
        store: STORE,
        number: 1,
        first_lsn: [1, 500, u64::MAX / 2, u64::MAX / 2 - 3][usize::from(flags & 3)],
        run: [0, 1, 7, u32::MAX][usize::from(flags >> 2 & 3)],
        digest: Digest::default(),
        synced: [0, 3, 600, u64::MAX][usize::from(flags >> 4 & 3)],
        later_in_use: flags & 64 != 0,
        recycled: flags & 128 != 0,
    }
}

/// The input as it is, behind the header block.
pub(super) fn raw(input: &mut Input<'_>, allocated: fn() -> u64) {
    let known = known(input);
    let mut image = vec![0; fuzzing::HEADER_BLOCK_BYTES];
    image.extend_from_slice(input.take(usize::MAX));
    judge(&image, &known, allocated);
}

/// Frames with right checksums and any fields, with holes and noise between them.
pub(super) fn frames(input: &mut Input<'_>, allocated: fn() -> u64) {
    let known = known(input);
    let mut image = vec![0; fuzzing::HEADER_BLOCK_BYTES];
    while !input.is_empty() && image.len() < 60_000 {
        let what = input.byte();
        match what % 8 {
            0 => image.extend_from_slice(&vec![0; 8 * usize::from(input.byte())]),
            1 => image.extend_from_slice(&noise(9, 8 * usize::from(input.byte()))),
            2 => {
                let from = input.below(image.len());
                let copy = image[from..].iter().copied().take(400).collect::<Vec<_>>();
                image.extend_from_slice(&copy);
            }
            _ => image.extend_from_slice(&frame(&known, what, input)),
        }
    }
    judge(&image, &known, allocated);
}

/// One frame.
fn frame(known: &SegmentContext, what: u8, input: &mut Input<'_>) -> Vec<u8> {
    let wide = |input: &mut Input<'_>| match input.byte() {
        255 => u32::MAX,
        254 => u32::MAX - u32::from(input.byte()),
        253 => u32::from(input.byte()) << 16,
        low => u32::from(low),
    };
    let mut fields = FrameFields {
        lsn_delta: wide(input),
        run: known.run.saturating_add(u32::from(input.byte())).saturating_sub(2),
        synced_lag: wide(input),
        time: 0,
        kind: [16, 1, 2, 3, 4, 255, 0, 20][usize::from(what >> 5)],
        flags: input.byte(),
    };
    // So many numbers a lost frame says that it stands for.
    fields.time = u32::from(fields.flags);
    let size = match fields.kind {
        1 => 64,
        3 => 56,
        _ => usize::from(input.byte()),
    };
    let mut body = input.take(size).to_vec();
    if matches!(fields.kind, 1 | 3) || body.is_empty() {
        body.resize(size.max(1), 0);
    }
    let mut bytes = fuzzing::forge_frame(known.salt(), fields, &body);
    if what & 16 != 0 {
        // The header is right, the body is not.
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
    }
    bytes
}
