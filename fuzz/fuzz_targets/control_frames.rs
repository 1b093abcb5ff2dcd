//! No bytes make the engine's decoders panic or take more memory than their limit, and what passes is
//! written again as it was.
//!
//! The first byte says which control body the rest is; the same bytes are read as the bodies of events,
//! with it as their flags.

#![no_main]

mod held;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use onceward::fuzzing::{control_bodies, control_body, event_bodies};

/// What decoding one body may hold at once: 16 MiB are its limit, besides what the test takes itself.
const HELD_BYTES_MAX: usize = 20 * 1024 * 1024;
/// Zeros that are tried as a body, at most.
const ZEROS_MAX: usize = 512;

/// Control: each body passes as so many zeros, or a target that reads nothing would find nothing.
static CONTROL: LazyLock<()> = LazyLock::new(|| {
    let zeros = [0; ZEROS_MAX];
    for number in 0..control_bodies() {
        let passes =
            |count: &usize| control_body(number, &zeros[..*count]).is_some_and(|(_, is)| is);
        let name = control_body(number, &[]).map(|(name, _)| name);
        assert!((0..=ZEROS_MAX).any(|count| passes(&count)), "{name:?} is never a body of zeros");
    }
});

fuzz_target!(|data: &[u8]| {
    LazyLock::force(&CONTROL);
    let Some((first, rest)) = data.split_first() else { return };
    let mut read = None;
    let held = held::most_while(|| {
        read = control_body(usize::from(*first) % control_bodies(), rest);
        event_bodies(*first, rest);
    });
    assert!(held <= HELD_BYTES_MAX, "{read:?} took {held} bytes");
});
