//! Damages a segment as an input decides.

use super::Built;
use super::build::old_use;
use crate::input::{Input, noise};

/// A segment that was damaged.
pub(super) struct Damaged {
    pub(super) image: Vec<u8>,
    /// The first byte that differs from what was written; the image's end if it was cut short.
    pub(super) first: usize,
    /// Whole frames that were written to places that are not theirs.
    pub(super) misplaced: usize,
}

/// Damages in place; `misdirected`: also writes whole frames in places that are not theirs.
pub(super) fn segment(built: &Built, misdirected: bool, input: &mut Input<'_>) -> Damaged {
    let mut image = built.draft.image.clone();
    let mut misplaced = 0;
    for _ in 0..1 + input.byte() % 12 {
        if input.is_empty() {
            break;
        }
        if misdirected && input.byte() % 3 == 0 {
            misplaced += misdirect(built, &mut image, input);
        } else {
            damage(built, &mut image, input);
        }
    }
    let differs = image.iter().zip(&built.draft.image).position(|(is, was)| is != was);
    let first = differs.unwrap_or(image.len());
    Damaged { image, first, misplaced }
}

/// One damage in place.
fn damage(built: &Built, image: &mut Vec<u8>, input: &mut Input<'_>) {
    let used = built.draft.frames.last().map_or(0, |frame| frame.offset + frame.bytes);
    let frame = built.draft.frames[input.below(built.draft.frames.len())];
    let sector = input.below(used) / 512 * 512;
    let sectors = sector..sector + 512 * (1 + usize::from(input.byte() % 4));
    match input.byte() % 11 {
        0 => flip(image, input.below(used), input),
        1 => flip(image, frame.offset + input.below(30), input),
        2 => flip(image, frame.offset + input.below(frame.bytes), input),
        3 => fill(image, sectors, |bytes| vec![0; bytes]),
        4 => fill(image, sectors, |bytes| noise(7, bytes)),
        5 => put(image, old_use(), sectors),
        6 => fill(image, frame.offset..frame.offset + frame.bytes, |bytes| vec![0; bytes]),
        7 => {
            if let Some(earlier) = built.earlier.get(input.below(built.earlier.len())) {
                put(image, earlier, sectors);
            }
        }
        8 => image.truncate(input.below(built.draft.image.len() + 1) / 8 * 8),
        9 => {
            // A lost write: everything from the frame on is what was there before the run.
            if let Some(earlier) = built.earlier.last() {
                put(image, earlier, frame.offset..used);
            }
        }
        _ => {
            let step = 2 + usize::from(input.byte() % 7);
            for frame in built.draft.frames.iter().step_by(step) {
                flip(image, frame.offset + 8, input);
            }
        }
    }
}

/// Whole frames in places that are not theirs; returns how many at most.
fn misdirect(built: &Built, image: &mut [u8], input: &mut Input<'_>) -> usize {
    let frames = &built.draft.frames;
    let from = frames[input.below(frames.len())];
    let to = frames[input.below(frames.len())];
    let original = &built.draft.image;
    let source = from.offset..from.offset + from.bytes;
    if let Some(target) = image.get_mut(to.offset..to.offset + from.bytes) {
        target.copy_from_slice(&original[source.clone()]);
    }
    if input.byte() % 2 == 0
        && let Some(target) = image.get_mut(source)
        && let Some(other) = original.get(to.offset..to.offset + from.bytes)
    {
        // Swapped, with what is behind the other if that is smaller.
        target.copy_from_slice(other);
    }
    let swapped = to.offset..to.offset + from.bytes;
    1 + frames.iter().filter(|frame| swapped.contains(&frame.offset)).count()
}

/// Flips a bit, if the byte is there.
fn flip(image: &mut [u8], at: usize, input: &mut Input<'_>) {
    if let Some(byte) = image.get_mut(at) {
        *byte ^= 1 << (input.byte() % 8);
    }
}

/// Overwrites what is there of a range.
fn fill(image: &mut [u8], range: std::ops::Range<usize>, with: impl FnOnce(usize) -> Vec<u8>) {
    let range = range.start.min(image.len())..range.end.min(image.len());
    let bytes = with(range.len());
    image[range].copy_from_slice(&bytes);
}

/// Overwrites what is there of a range with the same range of `other`.
fn put(image: &mut [u8], other: &[u8], range: std::ops::Range<usize>) {
    let end = range.end.min(image.len()).min(other.len());
    let range = range.start.min(end)..end;
    image[range.clone()].copy_from_slice(&other[range]);
}
