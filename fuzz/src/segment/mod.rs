//! One segment's bytes before the judge: the target `scan_segment`.

mod build;
mod damage;
mod expected;
mod forged;

use onceward_wal::Frame;
use onceward_wal::fuzzing::{self, KIND_LOST, LostBytes, SegmentContext, SegmentEnd, WalkVerdict};

use crate::input::{Input, noise};
use build::Built;

/// A frame that was shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Shown {
    lsn: u64,
    run: u32,
    kind: u8,
    offset: usize,
    bytes: usize,
}

/// Runs one input. `allocated` tells how many bytes were ever taken from the heap.
///
/// # Panics
///
/// If the log breaks a promise.
pub fn scan(data: &[u8], allocated: fn() -> u64) {
    let mut input = Input(data);
    match input.byte() % 4 {
        0 => forged::raw(&mut input, allocated),
        1 => forged::frames(&mut input, allocated),
        way => damaged(&mut input, way == 3, allocated),
    }
}

/// A right segment, damaged.
fn damaged(input: &mut Input<'_>, misdirected: bool, allocated: fn() -> u64) {
    let built = build::segment(input);
    let (shown, verdict) = judge(&built.draft.image, &built.known, allocated);
    built.assert_whole(&shown, &verdict);
    let damaged = damage::segment(&built, misdirected, input);
    let (shown, verdict) = judge(&damaged.image, &built.known, allocated);
    assert_again(&damaged.image, &built.known, &shown, &verdict);
    if expected::assert_nothing_invented(&built, &damaged, &shown, &verdict) {
        return;
    }
    expected::assert_nothing_silent(&built, &damaged, &shown, &verdict);
    expected::assert_start_kept(&built, &damaged, &shown);
    expected::assert_all_that_is_proven(&built, &damaged, &shown, &verdict);
}

/// Walks an image and holds the verdict to what is true of every image.
fn judge(
    image: &[u8],
    known: &SegmentContext,
    allocated: fn() -> u64,
) -> (Vec<Shown>, WalkVerdict) {
    let mut shown = Vec::with_capacity(image.len() / 32);
    let before = allocated();
    let verdict = fuzzing::walk(image, known, &mut |frame| shown.push(Shown::of(frame)));
    let taken = usize::try_from(allocated() - before).expect("fits");
    // Ranges, texts and numbers of frames: a few dozen bytes for each frame of at least 32, some of
    // them twice. Not what a length asks for, and not all again for each damage.
    let most = 40 * image.len() + 4096;
    assert!(taken <= most, "{} bytes of a segment took {taken} from the heap", image.len());
    assert_sound(image, known, &shown, &verdict);
    assert_same_in_pieces(image, known, &shown, &verdict);
    (shown, verdict)
}

impl Shown {
    /// What is noted of a frame.
    fn of(frame: &Frame<'_>) -> Self {
        Self {
            lsn: frame.lsn.get(),
            run: frame.run,
            kind: frame.kind,
            offset: usize::try_from(frame.place.offset).expect("fits"),
            bytes: frame.bytes(),
        }
    }
}

/// However the bytes are cut into pieces, the verdict is the same.
fn assert_same_in_pieces(
    image: &[u8],
    known: &SegmentContext,
    shown: &[Shown],
    verdict: &WalkVerdict,
) {
    let seed = u64::try_from(image.len() + 31 * verdict.offset + shown.len()).expect("fits");
    // Of most images small pieces, of some larger ones, so that all that is in them is cut somewhere.
    let most = [300, 5000, 40_000][usize::try_from(seed % 3).expect("fits")];
    let sizes = noise(seed, 2 * 256);
    let mut sizes = sizes.chunks_exact(2).cycle();
    let mut next_size = || {
        let size = sizes.next().map_or(0, |size| usize::from(size[0]) << 8 | usize::from(size[1]));
        1 + size % most
    };
    let mut again = Vec::with_capacity(shown.len());
    let mut visit = |frame: &Frame<'_>| again.push(Shown::of(frame));
    let in_pieces = fuzzing::walk_in_pieces(image, known, &mut next_size, &mut visit);
    assert_eq!(&in_pieces, verdict, "in pieces of at most {most} bytes");
    assert_eq!(again, shown, "in pieces of at most {most} bytes");
}

/// Reading changes nothing: a second walk says the same.
fn assert_again(image: &[u8], known: &SegmentContext, shown: &[Shown], verdict: &WalkVerdict) {
    let mut again = Vec::with_capacity(shown.len());
    let second = fuzzing::walk(image, known, &mut |frame| again.push(frame.lsn.get()));
    assert_eq!(&second, verdict, "a second walk says otherwise");
    assert!(again.iter().eq(shown.iter().map(|frame| &frame.lsn)), "a second walk shows others");
}

/// What holds of every verdict.
fn assert_sound(image: &[u8], known: &SegmentContext, shown: &[Shown], verdict: &WalkVerdict) {
    let first = fuzzing::HEADER_BLOCK_BYTES;
    // An image may end within its header block: nothing is read of it then.
    let end = image.len().max(first);
    let mut at = first;
    let mut last_lsn = known.first_lsn - 1;
    let mut run = known.run;
    for frame in shown {
        assert!(frame.offset >= at, "{frame:?} begins before {at}");
        at = frame.offset + frame.bytes;
        assert!(at <= end, "{frame:?} goes beyond {end}");
        // Where a repair found no frame lost, what it wrote has the number of the frame before.
        let least = if frame.kind == KIND_LOST { last_lsn } else { last_lsn + 1 };
        assert!(frame.lsn >= least, "{frame:?} comes after LSN {last_lsn}");
        assert!(frame.run >= run, "{frame:?} comes after run {run}");
        (last_lsn, run) = (frame.lsn, frame.run);
    }
    assert_eq!(verdict.frames, u64::try_from(shown.len()).expect("fits"), "frames");
    assert!((first..=end).contains(&verdict.offset), "the end is outside: {verdict:?}");
    assert!(at <= verdict.offset, "a frame stands behind the end: {verdict:?}");
    assert!((first..=end).contains(&verdict.proven), "the proof is outside: {verdict:?}");
    assert!(verdict.highest_lsn >= last_lsn, "a number could be given twice: {verdict:?}");
    if verdict.end == SegmentEnd::Open {
        assert!(verdict.proven <= verdict.offset, "more is proven than there is: {verdict:?}");
        assert!(verdict.offset + verdict.torn_bytes <= end, "torn beyond the end: {verdict:?}");
    }
    assert_apart(shown, verdict, end);
}

/// What is lost is inside, in order, and apart from what is kept.
fn assert_apart(shown: &[Shown], verdict: &WalkVerdict, end: usize) {
    let mut at = 0;
    for LostBytes { offset, bytes, .. } in &verdict.lost {
        // A seal that is kept may be lost too: it is there and says the wrong thing.
        let is_seal = verdict.end == SegmentEnd::Sealed && offset + bytes == verdict.offset;
        assert!(*offset >= at, "lost ranges overlap: {verdict:?}");
        at = offset + bytes;
        assert!(at <= end, "lost beyond the end: {verdict:?}");
        let inside = |frame: &&Shown| frame.offset < at && *offset < frame.offset + frame.bytes;
        let hit = shown.iter().find(inside).filter(|_| !is_seal);
        assert!(hit.is_none(), "{hit:?} is kept and lost: {verdict:?}");
    }
    for (offset, bytes) in &verdict.in_doubt {
        assert!(offset + bytes <= end, "in doubt beyond the end: {verdict:?}");
        assert!(*offset >= verdict.offset, "kept and in doubt: {verdict:?}");
    }
}
